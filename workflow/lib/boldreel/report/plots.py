"""Charts: scores with chance and baselines, training curves, lag sweep, noise ceiling, cost.

Takes tables; returns matplotlib figures and the data that each shows. Call inside `figure_style.style()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.report import figure_style, labels, verdicts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS: dict[str, Any] = {
    "shuffled": {"marker": "o", "mfc": "none", "mec": figure_style.MUTED, "ms": 5.5},
    "gray": {"marker": "s", "mfc": "#b9b4aa", "mec": "#8a857b", "ms": 5},
    "true_features": {"marker": "D", "mfc": "#f0c04c", "mec": "#b58a1d", "ms": 5},
}


def _panels(count: int, width: float, height: float, columns: int) -> tuple[Figure, list[Axes]]:
    import matplotlib.pyplot as plt

    columns = max(1, min(columns, count))
    rows = -(-max(count, 1) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, layout="constrained"
    )
    flat = list(axes.ravel())
    for axis in flat[count:]:
        axis.remove()
    return figure, flat[:count]


def scores(
    table: pd.DataFrame, subjects: Sequence[str], method: str
) -> tuple[Figure, pd.DataFrame]:
    """One panel per primary metric: subjects with intervals, chance, baselines, upper bound."""
    of = table[(table["segment"] == "all") & (table["method"] == method)]
    shown = verdicts.primary(of[of["condition"].isin(["model", *_MARKS])])
    shown = shown[shown["subject"].isin(list(subjects))]
    entries = list(dict.fromkeys(zip(shown["metric"], shown["definition"], strict=True)))
    figure, axes = _panels(len(entries), 2.5, 2.1, 4)
    for axis, (metric, definition) in zip(axes, entries, strict=True):
        rows = shown[(shown["metric"] == metric) & (shown["definition"] == definition)]
        for place, subject in enumerate(subjects):
            mine = rows[rows["subject"] == subject].set_index("condition")
            for condition, mark in _MARKS.items():
                if condition in mine.index:
                    axis.plot(place, mine.loc[condition, "value"], ls="none", zorder=2, **mark)
            if "model" in mine.index:
                row = mine.loc["model"]
                if row["ci_low"] == row["ci_low"]:
                    ends = [row["ci_low"], row["ci_high"]]
                    axis.plot(
                        [place, place], ends, color=figure_style.colour(place), lw=2.2, zorder=3
                    )
                axis.plot(
                    place, row["value"], "o", color=figure_style.colour(place), ms=7, zorder=4
                )
        chance = rows["chance"].dropna()
        if len(chance):
            axis.axhline(chance.iloc[0], color=figure_style.MUTED, ls=(0, (4, 3)), lw=1)
        text = labels.definition(definition).replace(", three right classes", "")  # narrow panels
        axis.set_title(labels.entry(metric).name + (f"\n{text}" if text else ""), fontsize=8)
        axis.set_xticks(range(len(subjects)), [labels.who(s) for s in subjects], fontsize=8)
        axis.set_xlim(-0.6, len(subjects) - 0.4)
        axis.grid(axis="y", lw=0.6)
        axis.margins(y=0.12)
    _legend(figure)
    return figure, shown.drop(columns=["rank"])


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", color=figure_style.ACCENT, lw=2, label="reconstruction, 95 %")
    ]
    handles.append(Line2D([], [], color=figure_style.MUTED, ls=(0, (4, 3)), lw=1, label="chance"))
    handles += [
        Line2D([], [], ls="none", label=labels.condition(name).lower(), **mark)
        for name, mark in _MARKS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)


def curves(histories: Mapping[str, Mapping[str, pd.DataFrame]]) -> tuple[Figure, pd.DataFrame]:
    """Loss by epoch: one panel per training, one colour per subject or cohort.

    Parameters
    ----------
    histories : {training: {who: history}}; columns epoch, loss and val_loss where measured.
    """
    import pandas as pd

    figure, axes = _panels(len(histories), 3.1, 2.4, 4)
    data = []
    for axis, (training, by) in zip(axes, histories.items(), strict=True):
        for place, (who, table) in enumerate(by.items()):
            tint = figure_style.colour(place)
            for column, line in (("loss", ":"), ("val_loss", "-")):
                if column in table.columns and table[column].notna().any():
                    kept = table[["epoch", column]].dropna()
                    name = who if column == "val_loss" or "val_loss" not in table.columns else None
                    axis.plot(kept["epoch"], kept[column], line, color=tint, label=name)
            data.append(table.assign(training=training, who=who))
        axis.set_title(training)
        axis.set_xlabel("epoch")
        axis.grid(lw=0.6)
        axis.legend()
    axes[0].set_ylabel("loss (dotted: training, solid: held out)")
    joined = pd.concat(data, ignore_index=True)
    return figure, joined[["training", "who", *joined.columns.drop(["training", "who"])]]


def parts(histories: Mapping[str, Mapping[str, pd.DataFrame]]) -> tuple[Figure, pd.DataFrame]:
    """Every number of the methods' trainings by epoch: one panel per training and number, a colour a subject.

    Parameters
    ----------
    histories : {training: {who: history}}; all columns but the learning rate.
    """
    import pandas as pd

    shown = [
        (training, column)
        for training, by in histories.items()
        for column in dict.fromkeys(name for table in by.values() for name in table.columns)
        if column not in ("epoch", "loss", "learning_rate")
    ]
    figure, axes = _panels(len(shown), 2.4, 1.9, 5)
    for axis, (training, column) in zip(axes, shown, strict=True):
        for place, (who, table) in enumerate(histories[training].items()):
            if column in table.columns:
                kept = table[["epoch", column]].dropna()
                axis.plot(
                    kept["epoch"], kept[column], "-", color=figure_style.colour(place), label=who
                )
        axis.set_title(f"{training}: {column.replace('_', ' ')}", fontsize=8)
        axis.grid(lw=0.6)
    axes[0].legend()
    axes[0].set_xlabel("epoch")
    data = [t.assign(training=k, who=w) for k, by in histories.items() for w, t in by.items()]
    joined = pd.concat(data, ignore_index=True)
    return figure, joined[["training", "who", *joined.columns.drop(["training", "who"])]]


def sweep(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Score on held-out training runs by lag, one line per window; the choice is ringed."""
    import pandas as pd

    figure, axes = _panels(len(tables), 3.1, 2.4, 4)
    low = min(table["score"].min() for table in tables.values())
    high = max(table["score"].max() for table in tables.values())
    pad = 0.08 * max(high - low, 1e-6)
    for axis, (subject, table) in zip(axes, tables.items(), strict=True):
        for place, (window, rows) in enumerate(table.groupby("window")):
            rows = rows.sort_values("lag")
            label = f"{window} volume{'s' if window != 1 else ''}"
            axis.plot(
                rows["lag"],
                rows["score"],
                "o-",
                ms=3.5,
                color=figure_style.colour(place),
                label=label,
            )
        for row in table[table["chosen"]].itertuples():
            axis.plot(row.lag, row.score, "o", ms=11, mfc="none", mec=figure_style.INK, mew=1.4)
        axis.set_title(labels.who(subject))
        axis.set_xlabel("lag (s)")
        axis.set_ylim(low - pad, high + pad)
        axis.grid(lw=0.6)
    axes[0].set_ylabel("score on held-out runs")
    axes[0].legend(title="window")
    data = pd.concat([t.assign(subject=s) for s, t in tables.items()], ignore_index=True)
    return figure, data[["subject", *data.columns.drop("subject")]]


def ceilings(
    tables: Mapping[str, pd.DataFrame], areas: pd.Series | None
) -> tuple[Figure, pd.DataFrame]:
    """Noise ceiling of the mean over repeats: distribution over voxels, and median by area.

    Parameters
    ----------
    tables : {subject: table "noise_ceiling"}, one row per position. areas : area of each position, or
        None.
    """
    import pandas as pd

    figure, axes = _panels(2 if areas is not None else 1, 4.4, 2.5, 2)
    values = {s: t.set_index("position")["ceiling_mean"].dropna() for s, t in tables.items()}
    top = max((float(v.max()) for v in values.values() if len(v)), default=1.0)
    bins = np.linspace(0, max(min(top * 1.02, 1.0), 0.05), 31).tolist()
    data = []
    for place, (subject, known) in enumerate(values.items()):
        name = labels.who(subject)
        axes[0].hist(
            known, bins, histtype="step", lw=1.8, color=figure_style.colour(place), label=name
        )
        frame = pd.DataFrame({"subject": subject, "position": known.index, "ceiling_mean": known})
        data.append(
            frame if areas is None else frame.assign(area=areas.loc[known.index].to_numpy())
        )
    axes[0].set_xlabel("noise ceiling (correlation, mean of repeats)")
    axes[0].set_ylabel("voxels")
    axes[0].legend()
    joined = pd.concat(data, ignore_index=True)
    if areas is not None:
        order = list(dict.fromkeys(areas))
        width = 0.8 / max(len(values), 1)
        for place, (_, rows) in enumerate(joined.groupby("subject", sort=False)):
            medians = rows.groupby("area")["ceiling_mean"].median().reindex(order)
            where = np.arange(len(order)) + (place - (len(values) - 1) / 2) * width
            axes[1].bar(where, medians, width * 0.92, color=figure_style.colour(place))
        axes[1].set_xticks(range(len(order)), order, rotation=45 if len(order) > 8 else 0)
        axes[1].set_ylabel("median noise ceiling")
        axes[1].grid(axis="y", lw=0.6)
    return figure, joined


def kernels(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Haemodynamic responses, one panel per subject: a line for each area, the canonical one dashed.

    Parameters
    ----------
    tables : {subject: table "hrf"}.
    """
    import pandas as pd

    from boldreel.windows import response

    figure, axes = _panels(len(tables), 3.1, 2.4, 4)
    for axis, (subject, table) in zip(axes, tables.items(), strict=True):
        own = table[table["source"] == "area"]
        for place, (area, rows) in enumerate(own.groupby("area", sort=False)):
            axis.plot(
                rows["delay"], rows["value"], color=figure_style.colour(place), lw=1.4, label=area
            )
        delays = np.unique(table["delay"])
        curve = response.double_gamma(delays)
        axis.plot(delays, curve / curve.max(), color=figure_style.MUTED, ls=(0, (4, 3)), lw=1)
        learnt, every = own["area"].nunique(), table["area"].nunique()
        axis.set_title(f"{labels.who(subject)}, learnt: {learnt} of {every}")
        axis.set_xlabel("s after a brief event")
        axis.grid(lw=0.6)
        if 0 < learnt <= 12:
            axis.legend(fontsize=6.5, ncols=2)
    axes[0].set_ylabel("response (largest: 1)")
    data = pd.concat([t.assign(subject=s) for s, t in tables.items()], ignore_index=True)
    return figure, data[["subject", *data.columns.drop("subject")]]


def ablation(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Two-way retrieval of every ablation, one panel per subject; "full" and chance as lines.

    Parameters
    ----------
    table : table "ablation".
    """
    shown = table[table["metric"] == "two_way_text"]
    subjects = list(dict.fromkeys(shown["subject"]))
    order = list(dict.fromkeys(shown["ablation"]))
    figure, axes = _panels(len(subjects), 3.6, 0.24 * len(order) + 0.8, 3)
    for place, (axis, subject) in enumerate(zip(axes, subjects, strict=True)):
        own = shown[shown["subject"] == subject].set_index("ablation").reindex(order)
        for line, row in enumerate(own.itertuples()):
            axis.plot(
                [row.ci_low, row.ci_high], [line, line], color=figure_style.colour(place), lw=2
            )
            axis.plot(row.value, line, "o", color=figure_style.colour(place), ms=6)
        if "full" in own.index:
            axis.axvline(own.loc["full", "value"], color=figure_style.colour(place), lw=0.8)
        axis.axvline(own["chance"].iloc[0], color=figure_style.MUTED, ls=(0, (4, 3)), lw=1)
        names = [labels.ablation(name) for name in order] if place == 0 else [""] * len(order)
        axis.set_yticks(range(len(order)), names, fontsize=8)
        axis.invert_yaxis()
        axis.set_title(labels.who(subject))
        axis.set_xlabel("two-way retrieval, text")
        axis.grid(axis="x", lw=0.6)
    return figure, table


def minutes(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Two-way retrieval against minutes of a subject's data: alone, and with others' encoder where known.

    Parameters
    ----------
    tables : {subject: table "minutes"}.
    """
    import pandas as pd

    names = {"pooled": "with the others’ encoder", "alone": "alone (linear path)"}
    found = {training for table in tables.values() for training in table["training"]}
    names = {training: name for training, name in names.items() if training in found}
    figure, axes = _panels(len(tables), 3.1, 2.4, 4)
    for axis, (subject, table) in zip(axes, tables.items(), strict=True):
        shown = table[table["metric"] == "two_way_text"]
        for place, (training, name) in enumerate(names.items()):
            rows = shown[shown["training"] == training].sort_values("minutes")
            tint = figure_style.colour(place)
            axis.fill_between(
                rows["minutes"], rows["ci_low"], rows["ci_high"], color=tint, alpha=0.15
            )
            axis.plot(rows["minutes"], rows["value"], "o-", ms=4, color=tint, label=name)
        axis.axhline(shown["chance"].iloc[0], color=figure_style.MUTED, ls=(0, (4, 3)), lw=1)
        axis.set_title(labels.who(subject))
        axis.set_xlabel("minutes of training data")
        axis.grid(lw=0.6)
    axes[0].set_ylabel("two-way retrieval, text")
    if len(names) > 1:
        axes[0].legend()
    return figure, pd.concat(list(tables.values()), ignore_index=True)


def rois(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Two-way retrieval by each group of areas alone and without it, next to all areas and the control.

    Parameters
    ----------
    tables : {subject: table "rois"}.
    """
    import pandas as pd

    tints = {
        "all": figure_style.colour(0),
        "only": figure_style.colour(0),
        "without": figure_style.colour(1),
    }
    hollow = {"all": 0.55, "only": 1.0, "without": 1.0, "control": 0.6}
    figure, axes = _panels(len(tables), 3.1, 3.0, 3)
    for axis, (subject, table) in zip(axes, tables.items(), strict=True):
        shown = table[table["metric"] == "two_way_text"]
        names: list[str] = []
        for row in shown.itertuples():
            names.append(_part(row.group, row.part, row.positions))
            low, high = row.value - row.ci_low, row.ci_high - row.value
            axis.barh(
                len(names) - 1,
                row.value,
                xerr=[[max(low, 0)], [max(high, 0)]],
                height=0.72,
                color=tints.get(row.part, figure_style.MUTED),
                alpha=hollow[row.part],
                ecolor=figure_style.INK,
                error_kw={"lw": 1},
            )
        axis.axvline(shown["chance"].iloc[0], color=figure_style.MUTED, ls=(0, (4, 3)), lw=1)
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.set_xlim(min(0.4, shown["ci_low"].min()), max(1.0, shown["ci_high"].max()))
        axis.set_xlabel("two-way retrieval, text")
        axis.set_title(labels.who(subject))
        axis.grid(axis="x", lw=0.6)
    return figure, pd.concat(list(tables.values()), ignore_index=True)


def attributes(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """How often each attribute is read right from the encoder's predictions and from responses.

    Parameters
    ----------
    tables : {subject: table "attributes"}, none empty.
    """
    import pandas as pd

    sources = {"encoder": "what the encoder predicts", "responses": "responses, directly"}
    figure, axes = _panels(len(tables), 3.1, 2.6, 3)
    for axis, (subject, table) in zip(axes, tables.items(), strict=True):
        names = list(dict.fromkeys(table["attribute"]))
        for number, (source, label) in enumerate(sources.items()):
            own = table[table["source"] == source].set_index("attribute").loc[names]
            low = (own["value"] - own["ci_low"]).clip(lower=0)
            high = (own["ci_high"] - own["value"]).clip(lower=0)
            axis.barh(
                np.arange(len(names)) + 0.19 * (2 * number - 1),
                own["value"],
                xerr=np.stack([low, high]),
                height=0.36,
                color=figure_style.colour(number),
                ecolor=figure_style.INK,
                error_kw={"lw": 1},
                label=label,
            )
            if not number:
                for place, chance in enumerate(own["chance"]):
                    line = [place - 0.42, place + 0.42]
                    axis.plot([chance] * 2, line, color=figure_style.INK, lw=1.2)
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.set_xlim(0, 1)
        axis.set_xlabel("share read right")
        axis.set_title(labels.who(subject))
        axis.grid(axis="x", lw=0.6)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure, pd.concat(list(tables.values()), ignore_index=True)


def _part(group: str, part: str, positions: int) -> str:
    """Label of a bar, with the number of positions that were read."""
    names = {"all": "all areas", "only": f"{group} alone", "without": f"all but {group}"}
    return f"{names.get(part, f'{group}, not visual')} ({positions})"


def repeats(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Retrieval against the number of test repeats averaged: the encoder and ridge.

    Parameters
    ----------
    tables : {subject: table "repeats"}.
    """
    import pandas as pd

    whole = pd.concat(list(tables.values()), ignore_index=True)
    names = {"two_way": "two-way", "top1": "top-1"}
    metrics = {
        f"{kind}_{space}": f"{name} retrieval, {space}"
        for kind, name in names.items()
        for space in ("text", "image")
        if (whole["metric"] == f"{kind}_{space}").any()
    }
    figure, axes = _panels(len(metrics), 3.1, 2.4, 4)
    for axis, (metric, name) in zip(axes, metrics.items(), strict=True):
        shown = whole[whole["metric"] == metric]
        for place, subject in enumerate(tables):
            own = shown[shown["subject"].astype(str) == subject].sort_values("repeats")
            tint = figure_style.colour(place)
            rows = own[own["condition"] == "model"]
            axis.fill_between(
                rows["repeats"], rows["ci_low"], rows["ci_high"], color=tint, alpha=0.12
            )
            label = labels.who(subject)
            axis.plot(rows["repeats"], rows["value"], "o-", ms=4, color=tint, label=label)
            ridge = own[own["condition"] == "ridge"]
            axis.plot(ridge["repeats"], ridge["value"], ":", lw=1.2, color=tint)
        axis.axhline(shown["chance"].iloc[0], color=figure_style.MUTED, ls=(0, (4, 3)), lw=1)
        axis.set_xscale("log")
        numbers = sorted(set(whole["repeats"]))
        axis.set_xticks(numbers, [str(n) for n in numbers])
        axis.minorticks_off()
        axis.set_xlabel("test repeats averaged")
        axis.set_ylabel(name)
        axis.grid(lw=0.6)
    axes[-1].legend(loc="upper left")
    return figure, whole


def timing(stages: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Seconds of all jobs of each stage, with their number and peak memory."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 0.42 * len(stages) + 0.7), layout="constrained")
    places = list(range(len(stages)))
    axis.barh(places, stages["seconds"], 0.62, color=figure_style.ACCENT, alpha=0.25)
    axis.barh(places, stages["longest"], 0.62, color=figure_style.ACCENT)
    reach = max(float(stages["seconds"].max()), 1e-9)
    for place, row in zip(places, stages.itertuples(), strict=True):
        memory = "" if row.memory_mb != row.memory_mb else f", {row.memory_mb:.0f} MB"
        plural = "s" if row.jobs != 1 else ""
        text = f"{labels.duration(row.seconds)}, {row.jobs} job{plural}{memory}"
        axis.text(row.seconds + reach * 0.012, place, text, va="center", fontsize=8.5)
    axis.set_yticks(places, stages["stage"])
    axis.invert_yaxis()
    axis.set_xlim(0, reach * 1.38)
    axis.set_xlabel("seconds of all jobs (dark: the longest one)")
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)
    return figure, stages

"""The page's longer texts: methods, responsible use, citation.

Takes the numbers that the run used; returns HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from boldreel.report import labels
from boldreel.report.markup import esc
from boldreel.report.markup import table as table_of
from boldreel.report.settings import PageSettings

if TYPE_CHECKING:
    import pandas as pd

    from boldreel.report.clips import Cuts
    from boldreel.report.verdicts import Verdict

SIMULATED = (
    '<p class="banner"><b>Simulated data.</b> Brains, BOLD and movies on this page were made by a program, '
    "to try out the pipeline. Nobody was scanned, and no score here says how well it works on people.</p>"
)


def overview(judged: Sequence[Verdict], simulated: bool) -> str:
    """What the page shows, and how many subjects are above chance and above the baselines."""
    count = len(judged)
    above = sum(verdict.passed > 0 for verdict in judged)
    better = sum(verdict.level == "signal" for verdict in judged)
    kind = "simulated " if simulated else ""
    than = (
        f", {better or 'none'} of them shown to beat every baseline and control too"
        if above
        else ""
    )
    return (
        f"Video reconstructed from {kind}fMRI of {count} {kind}subject{'' if count == 1 else 's'}, beside "
        "what was really seen, with chance, baselines and intervals. "
        f"{above} of {count} {'is' if above == 1 else 'are'} above chance{than}."
    )


def without_repeats(subjects: Sequence[str]) -> str:
    """What cannot be had of subjects who saw no test clip in two runs; empty for none."""
    if not subjects:
        return ""
    return (
        f"No test clip was shown to {_named(subjects)} in two runs, so there is no noise ceiling of the test "
        "and no curve of repeats."
    )


def without_ceiling(subjects: Sequence[str]) -> str:
    """Whose noise ceiling cannot be had at all; empty for none."""
    if not subjects:
        return ""
    return f"No clip was shown to {_named(subjects)} in two runs, so there is no noise ceiling."


def without_other(subjects: Sequence[str]) -> str:
    """Whose control by another subject cannot be had; empty for none."""
    if not subjects:
        return ""
    return (
        f"Nobody else saw one of the test clips of {_named(subjects)}, so another subject’s responses to "
        "them could not be a control."
    )


def _named(subjects: Sequence[str]) -> str:
    return ", ".join(labels.who(subject) for subject in subjects)


def intersubject(table: pd.DataFrame | None) -> str:
    """A paragraph and a table on what subjects share; empty where too few saw the same.

    Parameters
    ----------
    table : "intersubject"
    """
    if table is None or not len(table):
        return ""
    rows = []
    for subject, own in table.groupby("subject", sort=False):
        known, p = own["correlation"].dropna(), own["p"].dropna()
        above = f"{100 * (p <= 0.05).mean():.0f} %" if len(p) else "n/a"
        rows.append(
            [
                esc(labels.who(str(subject))),
                str(int(own["clips"].iloc[0])),
                labels.number(float(known.median())),
                labels.number(float(known.quantile(0.95))),
                above,
            ]
        )
    head = ["Subject", "Test clips", "Median voxel", "95th percentile", "Voxels with p ≤ 0.05"]
    return (
        "<h3>Inter-subject correlation</h3><p>How well the mean response of the others who saw the same test "
        "clips predicts a subject’s response (correlation, leave-one-out). It is no noise ceiling: it "
        "counts only what brains share, and a decoder of what is a subject’s own may exceed it. p comes from "
        "shifting the subject’s clips in a circle within each run; 5 % of voxels are expected below 0.05 "
        "by chance.</p>" + table_of(head, rows, "Inter-subject correlation")
    )


MARGIN = (
    "A metric is above chance if its corrected p would be small enough even with all scores worse by a "
    "quarter of the standard deviation of the shifted ones, which is about how much scores differ between "
    "processors. If only this margin decides, the metric is at the border."
)
INTERVALS = (
    "Intervals (95 %) and the two-sided p of differences to other conditions, clip by clip, come from one "
    "test. With three runs or more, runs are its units, so that it holds for other runs; with one or two it "
    "holds for these runs, whose shots are taken as a series of neighbours that may be alike. Both are "
    "corrected for skewness. With fewer than ten shots, or twenty in one or two runs, there is neither (n/a)."
)
SHIFTED = (
    "p-values come from shifting reconstructions against the truth in a circle within each run, by no less "
    "than "
    "the longest shot, after slow trends over the run are taken from both. A run with fewer than five such "
    "shifts is left out: a trend that both share could not be told from decoding."
)


def beyond_linear(histories: Mapping[str, pd.DataFrame]) -> str:
    """Which subjects' transformers learnt more than the linear path they start from.

    Parameters
    ----------
    histories : {subject: history of the alignment}. The epoch that was kept has the smallest
        ``val_bound``, and epoch 0 is the linear path alone.
    """
    kept = {
        subject: int(history.loc[history["val_bound"].idxmin(), "epoch"])
        for subject, history in histories.items()
        if "val_bound" in history.columns
    }
    linear = [esc(labels.who(subject)) for subject, epoch in kept.items() if epoch == 0]
    more = [f"{esc(labels.who(s))} (epoch {epoch})" for s, epoch in kept.items() if epoch > 0]
    out = ""
    if linear:
        out += (
            f"<p>The encoder of {', '.join(linear)} is its linear path alone: on held-out training movies "
            "no epoch of the transformer was better by more than a standard error, so it adds nothing.</p>"
        )
    if more:
        out += (
            f"<p>The transformer of {', '.join(more)} lowered the loss on held-out movies by more "
            "than a standard error against the linear path it starts from. A lower loss can come from "
            "predictions that are merely smaller: whether clips are told apart, the table says.</p>"
        )
    return out


_PREDICTORS = {
    "model": "the masked autoencoder",
    "linear": "the best linear predictor",
    "linear_diagonal": "linear, without distances",
    "components": "principal components",
    "nearest_visible_patch": "the nearest visible patch",
    "patch_mean": "the training mean",
}
_MASKS = {
    "masked_patch_correlation": "Patches hidden",
    "masked_area_correlation": "Whole areas hidden",
    "masked_hemisphere_correlation": "A hemisphere hidden",
}


def continuous_movies(counts: Sequence[tuple[str, Cuts]]) -> str:
    """A paragraph on the cuts of all subjects' continuous movies; empty without any."""
    if not counts:
        return ""
    parts = [
        f"{esc(labels.who(subject))}: {own.made} (with the truth: {own.both}), and {own.within} within clips"
        for subject, own in counts
    ]
    first = counts[0][1]
    return (
        "<h3>Continuous movies</h3><p>Each clip went on from the end of the one before it. Of "
        f"{first.places} places where clips meet the truth begins another shot at {first.true}. Cuts that "
        f"are found there in the reconstruction: {'; '.join(parts)}.</p>"
    )


def masked(cohort: str, scores: pd.DataFrame) -> str:
    """How well hidden patches of held-out subjects were predicted, next to what needs no network, and
    whether that is a failure.

    Parameters
    ----------
    scores : table "metrics" of a pretraining, one row per predictor and kind of masks.
    """
    known = scores[
        scores["condition"].isin(list(_PREDICTORS)) & scores["metric"].isin(list(_MASKS))
    ]
    cells = known.set_index(["condition", "metric"])
    kinds = [kind for kind in _MASKS if (known["metric"] == kind).any()]
    rows = []
    for condition, name in _PREDICTORS.items():
        row = [esc(name)]
        for kind in kinds:
            if (condition, kind) not in cells.index:
                row.append("–")
                continue
            values = (cells.loc[(condition, kind), key] for key in ("value", "ci_low", "ci_high"))
            value, low, high = map(labels.number, values)
            row.append(f"<b>{value}</b> <small>[{low}, {high}]</small>")
        rows.append(row)
    return (
        f"<p>Pretraining on “{esc(cohort)}”: correlation with what was hidden of "
        f"{esc(int(known['n'].max()))} volumes of held-out subjects, mean and 95 % interval. "
        f"{_masked_verdict(known)}</p>"
        + table_of(["Predictor", *(_MASKS[kind] for kind in kinds)], rows, "Hidden patches")
    )


def _masked_verdict(known: pd.DataFrame) -> str:
    """A failure where the network is below any predictor that needs none."""
    worse: dict[str, list[str]] = {}
    gains = []
    for kind, rows in known.groupby("metric", sort=False):
        values = rows.set_index("condition")["value"]
        for condition, value in values.items():
            # a ten-thousandth: the rounding of sums, not a difference
            if condition != "model" and values["model"] < value - 1e-4:
                worse.setdefault(_MASKS[str(kind)].lower(), []).append(_PREDICTORS[str(condition)])
        gains.append(values["model"] - values.drop("model").max())
    if worse:
        where = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in worse.items())
        return (
            "<b>This pretraining failed</b>: predictors that need no network are better "
            f"({esc(where)})."
        )
    if max(gains) < 1e-4:
        return (
            "The network adds nothing to the best linear predictor, at which it starts: no epoch was better "
            "by more than a standard error, or what it learnt does not hold in other volumes."
        )
    return f"The network adds up to {labels.number(max(gains))} to the best of the others."


def preprocessing(made: PageSettings) -> str:
    """A sentence on who preprocessed the BOLD, by the engine of this run."""
    if made.engine == "embedded":
        return (
            "BOLD runs were corrected for slice timing and head motion and brought to one space by "
            "boldreel’s own engine, which is not fMRIPrep."
        )
    if made.engine.startswith("fmriprep"):
        return f"BOLD runs were preprocessed by fMRIPrep {esc(made.fmriprep)}."
    return "BOLD runs were taken as another program had preprocessed them."


_HRF = {
    "fir": " A window held all volumes from the first lag to the last.",
    "deconvolution": " Series were deconvolved with the canonical haemodynamic response, so that lags "
    "count from the activity.",
    "kernel": " Series were deconvolved with a haemodynamic response per area, learnt on training "
    "segments, so that lags count from the activity.",
}


def methods(
    choices: Mapping[str, Mapping[str, Any]], tests: Mapping[str, Any], made: PageSettings
) -> str:
    """How it was done, in the past tense, with this run's own numbers.

    Parameters
    ----------
    choices : {subject: {"lag", "window", "hrf"}}. tests : keys clips, runs, permutations, once.
    made : what is known of the run.
    """
    chosen = "; ".join(
        f"{esc(labels.who(s))}: lag {c.get('lag')} s, window {c.get('window')} volumes"
        for s, c in choices.items()
    )
    averaged = (
        "of clips that were shown once"
        if tests.get("once")
        else "averaged over all repeats"
        if made.repeats == "average"
        else "taken from one repeat"
        if made.repeats == 1
        else f"averaged over {esc(made.repeats)} of their repeats"
    )
    lags = f" Chosen: {chosen}." if chosen else ""
    modes = {str(c.get("hrf", "lag")) for c in choices.values()}
    lags = "".join(_HRF.get(mode, "") for mode in sorted(modes)) + lags
    return (
        f"<p>{preprocessing(made)} Their series were cleaned and z-scored per voxel within each run, "
        f"in the fixed anatomical order of the atlas {esc(made.atlas)}. "
        "Lag and window were chosen for each subject on held-out training runs; no test run was "
        f"used for any choice or fit.{lags}</p>"
        "<p>An encoder pretrained by masked brain modelling on the cohort "
        f"“{esc(made.cohort)}” was aligned with "
        "image and text features by a contrastive loss, and tuned together with a video diffusion "
        "model inflated from an image model (after Chen, Qing and Zhou, 2023). Test windows were "
        f"{averaged} and sampled once, with a seed that depends on the clip alone; "
        "guidance moved away from the mean of the training responses.</p>"
        f"<p>Scores are means over {esc(tests.get('clips', '–'))} test clips of "
        f"{esc(tests.get('runs', '–'))} runs. {INTERVALS} {SHIFTED} There are up to "
        f"{esc(tests.get('permutations', '–'))} arrangements; the smallest possible p is "
        "one over their number plus one, and never 0; equal scores count as equal. These p are one-sided, "
        f"with Holm’s correction over a subject’s primary metrics. {MARGIN} A verdict is green only where "
        f"the "
        "reconstruction also beats every baseline and control. “Shuffled” is the mean over those shifts. "
        "N-way identification is the exact expectation over all draws of distractors; as published, the "
        "truth’s three best classes all count as right, so chance is 3/(n+2).</p>"
    )


def responsible(dataset: str, subjects: Sequence[str], simulated: bool) -> str:
    """Whose data the page holds, and what it must not be used for."""
    whose = ", ".join(f"sub-{subject}" for subject in subjects)
    kind = "simulated subjects, no person’s data" if simulated else "people"
    return (
        f"<p>This page holds what was computed from the brains of {esc(whose)} of the data set "
        f"{esc(dataset)} ({kind}), and clips of the movies that they watched. All of a subject’s results "
        f"are found and deleted by <code>make forget SUBJECT=sub-{esc(subjects[0])}</code>.</p>"
        "<p>The method needs hours of willing, attentive viewing inside a "
        "scanner for every single person, and works on no one else: it is not for reading anyone’s "
        "mind, and must not be used on anyone without informed consent to this very use. "
        "Reconstructions show what a generator, trained on similar movies, makes of a weak signal; "
        "details that look sharp come from the generator and not from the brain. Nothing on this page "
        "is blurred, hidden or picked by hand.</p>"
        "<p>Before sharing the page, check that the consent of the subjects and the licence of the "
        "movies allow it.</p>"
    )


CITATION = (
    "<p>Method: Z. Chen, J. Qing, J. H. Zhou, <cite>Cinematic Mindscapes: High-quality Video "
    "Reconstruction from Brain Activity</cite>, NeurIPS 2023. Workflow: J. Köster, S. Rahmann, "
    "<cite>Snakemake</cite>, Bioinformatics 2012. Correction: S. Holm, Scandinavian Journal of "
    "Statistics 1979.</p>"
)

"""From values per clip to rows of the table: value, interval, chance, p.

Takes the measures of each run; returns rows of the tables "metrics" and "clip_metrics".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from boldreel.evaluate.clips import Segment
from boldreel.evaluate.metrics import Measure
from boldreel.evaluate.settings import EvaluateSettings
from boldreel.stats.inference import Inference
from boldreel.stats.permutation import Permutation

NAN = float("nan")
_UNTESTED = Permutation(NAN, NAN, NAN, 0)


@dataclass(frozen=True)
class Group:
    """A set of test clips that gets rows of its own: all, one run, seen or unseen combinations.

    inside : bool (n,) over all test clips.
    """

    name: str
    inside: np.ndarray


def groups(runs: Sequence[Segment], clips: int, seen: np.ndarray | None) -> list[Group]:
    """all; each run where there are several; seen and unseen where both occur."""
    out = [Group("all", np.ones(clips, dtype=bool))]
    if len(runs) > 1:
        for run in runs:
            inside = np.zeros(clips, dtype=bool)
            inside[run.rows] = True
            out.append(Group(run.name, inside))
    if seen is not None and seen.any() and not seen.all():
        out += [Group("seen", seen), Group("unseen", ~seen)]
    return out


class Summary:
    """Rows of each group of clips, from intervals and tests that all metrics and conditions share.

    Parameters
    ----------
    runs : the test runs. shots : (n,) shot of each clip. seen : bool (n,) or None.
    """

    def __init__(
        self,
        runs: Sequence[Segment],
        shots: np.ndarray,
        seen: np.ndarray | None,
        settings: EvaluateSettings,
    ) -> None:
        self.runs, self.settings = runs, settings
        self.groups = groups(runs, len(shots), seen)
        self.inference = Inference([run.rows for run in runs], shots, settings)

    def rows(self, measures: Sequence[Measure], tested: bool) -> list[dict[str, Any]]:
        """Rows for one metric.

        Parameters
        ----------
        measures : the metric in each run, in the order of the runs.
        tested : whether to give a p and a row for the condition "shuffled"; needs pairings.
        """
        first = measures[0]
        values, shuffled = _gather(self.runs, measures)
        per = None if first.per is None else _join(self.runs, [m.per for m in measures])
        out = []
        for group in self.groups:
            inside = group.inside
            base = {
                "segment": group.name,
                "metric": first.metric,
                "definition": first.definition,
                "better": first.better,
                "chance": first.chance,
                "n": int(np.isfinite(values[inside]).sum()),
            }
            paired = first.better != "neither" and any(len(m.values) > 1 for m in measures)
            found = self._test(measures, inside) if tested and paired else _UNTESTED
            row = self._estimate(inside, values, per)
            out.append({**base, **row, "condition": "", **_columns(found)})
            if tested and paired and shuffled is not None:
                row = self._estimate(inside, shuffled, None)
                out.append({**base, **row, "condition": "shuffled", **_columns(_UNTESTED)})
        return out

    def paired(self, differences: np.ndarray) -> tuple[float, float]:
        """(mean, two-sided p) of differences (n,) of clips; NaN differences are left out.

        (NaN, NaN) where there is none, and no p where there are too few shots."""
        found = self.inference.mean(differences, np.ones(len(differences), dtype=bool))
        return found.value, found.p

    def _estimate(
        self, inside: np.ndarray, values: np.ndarray, per: np.ndarray | None
    ) -> dict[str, float]:
        found = self.inference.mean(values, inside, per)
        return {"value": found.value, "ci_low": found.ci_low, "ci_high": found.ci_high}

    def _test(self, measures: Sequence[Measure], inside: np.ndarray) -> Permutation:
        sign = -1.0 if measures[0].better == "lower" else 1.0
        values = [sign * measure.values for measure in measures]
        return self.inference.test(values, inside, [measure.by for measure in measures])


def _columns(found: Permutation) -> dict[str, float]:
    """A test as columns of the table "metrics"."""
    return {
        "p": found.p,
        "p_low": found.p_low,
        "p_high": found.p_high,
        "permutations": found.arrangements,
    }


def _join(runs: Sequence[Segment], parts: Sequence[Any]) -> np.ndarray:
    out = np.full(sum(len(run.rows) for run in runs), NAN)
    for run, part in zip(runs, parts, strict=True):
        out[run.rows] = part
    return out


def _gather(
    runs: Sequence[Segment], measures: Sequence[Measure]
) -> tuple[np.ndarray, np.ndarray | None]:
    """(n,) values of the right pairing, and the mean over the wrong ones where there are any."""
    right = _join(runs, [m.values[0] for m in measures])
    if any(len(m.values) < 2 for m in measures):
        return right, None
    return right, _join(runs, [m.values[1:].mean(axis=0) for m in measures])


def per_clip(
    runs: Sequence[Segment], measures: Sequence[Measure], tested: bool
) -> dict[str, np.ndarray]:
    """Values (n,) of each clip: {"": right pairing, "shuffled": mean over the wrong ones}."""
    right, shuffled = _gather(runs, measures)
    if measures[0].per is not None:
        per = _join(runs, [m.per for m in measures])
        right = np.divide(right, per, out=np.full_like(right, NAN), where=per > 0)
    wanted = tested and shuffled is not None and measures[0].better != "neither"
    return {"": right, "shuffled": shuffled} if wanted and shuffled is not None else {"": right}

"""What noise model and inversion are worth: linear paths compared on the test clips of a finished run.

    python benchmarks/encoder.py results/demo [--subjects 01 02 03] [--shares 0.5 1]

Reads series, windows, features and the cohort's noise model of a run; fits on training and validation
segments alone: ridge regression, the same on whitened responses, and the inverted encoding model, each with
several noise models and as chosen on left-out segments, on the first sixth, third, half and all of the
segments. Prints two-way and top-1 identification of CLIP text on the averaged test responses, and the gain
over ridge regression with 95 % intervals from resampling shots. Before that the run's own encoder is compared
with the run's own ridge. Nothing is chosen on test clips: penalties,
time to peak and noise model come from left-out segments.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import yaml

from boldreel.align import identify, ridge
from boldreel.align.data import Trials, coordinates, load_trials, used_positions
from boldreel.align.inversion import Inversion
from boldreel.align.linear import Targets
from boldreel.align.settings import AlignSettings
from boldreel.align.whitening import candidates
from boldreel.data import cohort_noise
from boldreel.layout import Layout
from boldreel.probe import retrieve
from boldreel.settings import read
from boldreel.stats import bootstrap

SHARES = (1 / 6, 1 / 3, 1 / 2, 1.0)
SPLITS = ("train", "validation")
RIDGE = "ridge"
WITHOUT_COHORT, CHOSEN = "inversion, as chosen without the cohort", "inversion, as chosen"


def by_clip(guess: np.ndarray, test: Trials, training: Trials) -> dict[str, np.ndarray]:
    """Two-way and top-1 identification of each test clip from predicted text deviations (clips, D)."""
    truth = test.features.text - training.features.text.mean(0)
    similarity = identify.cosine(guess, truth)
    groups = test.features.positives()
    return {
        "two-way": np.diag(identify.two_way(similarity, groups).matrix),
        "top-1": np.diag(identify.top_k(similarity, groups, 1).matrix),
    }


def whitened_ridge(
    training: Trials,
    test: Trials,
    used: np.ndarray,
    covariance: np.ndarray | None,
    targets: Targets,
) -> np.ndarray:
    """Predicted targets (clips, K) by ridge regression on whitened windows."""
    from scipy.linalg import cholesky, solve_triangular

    def white(x: np.ndarray) -> np.ndarray:
        own = x[:, :, used]
        if covariance is not None:
            flat = own.reshape(-1, own.shape[2]).T
            own = solve_triangular(root, flat, lower=True).T.reshape(own.shape)
        return own.reshape(len(own), -1)

    root = None if covariance is None else cholesky(covariance, lower=True)
    x, y = white(training.x), targets.values(training.features)[training.clip]
    groups = targets.groups(training.features)
    chosen = ridge.choose_alphas(x, y, ridge.Split.of(training), training.clip, groups)
    weight, bias = ridge.fit(x, y, {name: alpha for name, (alpha, _) in chosen.items()}, groups)
    return white(test.averaged()) @ weight + bias


def paths(
    training: Trials,
    test: Trials,
    used: np.ndarray,
    xyz: np.ndarray,
    noise: cohort_noise.CohortNoise,
    settings: AlignSettings,
) -> dict[str, dict[str, np.ndarray]]:
    """Scores by clip of every linear path."""
    targets = Targets.of(training.features, settings)
    text = targets.groups(training.features)["text"]
    every = candidates(training, used, xyz, noise)
    found = {}
    for name, label in (
        ("none", "ridge"),
        ("own", "ridge, whitened by own repeats"),
        ("distance", "ridge, whitened by the cohort's curve"),
        ("cohort", "ridge, whitened by the cohort"),
    ):
        if name in every:
            guess = whitened_ridge(training, test, used, every[name].make(training), targets)
            found[label] = by_clip(guess[:, text], test, training)
    for names, label in (
        (("none",), "inversion, not whitened"),
        (("own",), "inversion, own repeats"),
        (("distance",), "inversion, the cohort's curve"),
        (("cohort",), "inversion, the cohort"),
        (tuple(name for name in every if name in ("own", "none")), WITHOUT_COHORT),
        (tuple(every), CHOSEN),
    ):
        if set(names) <= set(every):
            given = {name: every[name] for name in names}
            weight, bias = Inversion.choose(training, used, settings, given).solve(training)
            guess = test.averaged().reshape(len(test.features.clips), -1) @ weight + bias
            found[label] = by_clip(guess[:, text], test, training)
    return found


def of_run(align: Path, test: Trials) -> dict[str, dict[str, np.ndarray]]:
    """What the encoder and the ridge of a run make of averaged responses, as `by_clip`."""
    x, every = test.averaged(), np.arange(len(test.features.clips))
    out = {}
    for name, decoder in retrieve.load_decoders(align).items():
        rows = retrieve.outcomes(decoder, retrieve.predict(decoder, x), test.features, None, every)
        found = {metric: np.diag(outcome.matrix) for metric, _, outcome in rows}
        out[RIDGE if name == "ridge" else "encoder"] = {
            "two-way": found["two_way_text"],
            "top-1": found["top1_text"],
        }
    return {RIDGE: out[RIDGE], **out}


def compared(
    scores: dict[str, np.ndarray], other: dict[str, np.ndarray] | None, drawn: np.ndarray
) -> list[str]:
    """Cells of a row: each mean, and what it gains on another decoder."""
    cells = []
    for metric, values in scores.items():
        cells.append(f"{values.mean():.3f}")
        if other is None:
            cells.append("")
            continue
        gain = values - other[metric]
        low, high = bootstrap.interval(gain, drawn)
        cells.append(f"{gain.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
    return cells


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("results", type=Path)
    arguments.add_argument("--subjects", nargs="+", default=["01", "02", "03"])
    arguments.add_argument("--shares", nargs="+", type=float, default=SHARES)
    args = arguments.parse_args()
    layout = Layout(str(args.results))
    resolved = yaml.safe_load(Path(layout.resolved_configuration()).read_text(encoding="utf-8"))
    settings = read(AlignSettings, resolved["align"], "align")
    noise = cohort_noise.read(Path(layout.noise(resolved["pretrain"]["cohort"])))
    clips = Path(layout.clips())
    features = sorted(args.results.glob("stimuli/*/features"))
    print("| subject | training | linear path | two-way | gain | top-1 | gain |")
    print("|---|---|---|---|---|---|---|")
    for subject in args.subjects:
        windows, voxels = Path(layout.windows(subject)), Path(layout.voxels(subject))
        series = args.results / f"sub-{subject}" / "series"
        everything = load_trials(windows, series, clips, features, SPLITS)
        test = load_trials(windows, series, clips, features, "test")
        used, xyz = used_positions(voxels, settings.voxels), coordinates(voxels)
        shots = np.asarray(test.features.shots)
        rng = np.random.default_rng(0)
        drawn = bootstrap.resample(shots, np.zeros(len(shots)), 2000, rng)
        names = list(dict.fromkeys(everything.segment))
        for label, scores in (
            run := of_run(args.results / f"sub-{subject}" / "align", test)
        ).items():
            cells = compared(scores, None if label == RIDGE else run[RIDGE], drawn)
            print(
                "| " + " | ".join([f"sub-{subject}", "the run's", label, *cells]) + " |", flush=True
            )
        for share in args.shares:
            kept = names[: max(1, round(share * len(names)))]
            training = everything.take(np.isin(everything.segment, kept))
            found = paths(training, test, used, xyz, noise, settings)
            for label, scores in found.items():
                about = [f"sub-{subject}", f"{len(kept)} of {len(names)}", label]
                cells = compared(scores, None if label == RIDGE else found[RIDGE], drawn)
                print("| " + " | ".join([*about, *cells]) + " |", flush=True)
            worth = []
            for metric in ("two-way", "top-1"):
                gain = found[CHOSEN][metric] - found[WITHOUT_COHORT][metric]
                low, high = bootstrap.interval(gain, drawn)
                worth += ["", f"{gain.mean():+.3f} [{low:+.3f}, {high:+.3f}]"]
            about = [f"sub-{subject}", f"{len(kept)} of {len(names)}", "worth of the cohort"]
            print("| " + " | ".join([*about, *worth]) + " |", flush=True)


if __name__ == "__main__":
    main()

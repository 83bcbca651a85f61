"""The inverted encoding model: against Bayes' rule written out, and on simulated brains."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.fixtures_settings import settings

from boldreel.align import haemodynamics, inversion, ridge, whitening
from boldreel.align.data import Trials
from boldreel.align.inversion import Inversion
from boldreel.align.latent import Latent
from boldreel.align.ridge import Ridge
from boldreel.data.cohort_noise import CohortNoise
from boldreel.data.features import ClipFeatures
from boldreel.models import noise

T_R, DURATION, WINDOW, LAG = 2.0, 2.0, 2, 4.0
POSITIONS, CLIPS = 60, 60
XYZ = np.stack(np.unravel_index(np.arange(POSITIONS), (5, 4, 3)), axis=1) * 4.0


def features(names: list[str], rng: np.random.Generator) -> ClipFeatures:
    """Smooth in time, as films are; what moves is independent of what is shown."""
    n = len(names)
    hidden = rng.standard_normal((n + 2, 6))
    hidden = (hidden[:-2] + hidden[1:-1] + hidden[2:]) / np.sqrt(3)
    motion = rng.standard_normal((n, 2))
    mixing = np.random.default_rng(99).standard_normal((6, 20))
    wide = hidden @ mixing
    text, image = wide[:, :8], wide[:, 8:]
    return ClipFeatures(
        image=(image / 10).astype(np.float32),
        text=(text / 10).astype(np.float32),
        condition=wide[:, None, :5].astype(np.float32),
        motion=motion.astype(np.float32),
        clips=names,
        captions=names,
        shots=names,
        attributes=[{} for _ in names],
    )


def brain(
    seed: int, segments: int = 4, share: float = 0.1, peak: float = 5.0, repeats: int = 2
) -> tuple[Trials, np.ndarray]:
    """Trials of a simulated subject, and the true covariance of its noise."""
    rng = np.random.default_rng(seed)
    curve = noise.DistanceCurve(
        tuple(0.8 if length == 8.0 else 0.0 for length in noise.LENGTHS),
        (0.0,) * len(noise.LENGTHS),
        0.1,
        0.1,
    )
    covariance = curve.matrix(XYZ)
    root = np.linalg.cholesky(covariance)
    weights = np.random.default_rng(5).standard_normal((22, POSITIONS))
    names = [f"s{s}-{k:03d}" for s in range(segments) for k in range(CLIPS)]
    shown = features(names, rng)
    values = np.concatenate([shown.image, shown.text, shown.motion / 4], axis=1)
    values = (values - values.mean(0)) / values.std()
    rows = []
    for s in range(segments):
        own = slice(s * CLIPS, (s + 1) * CLIPS)
        onsets = DURATION * np.arange(CLIPS)
        volumes = T_R * np.arange(CLIPS) + 1.0
        course = haemodynamics.sustained(volumes[:, None] - onsets, np.full(CLIPS, DURATION), peak)
        signal = course @ values[own] @ weights
        signal = (signal - signal.mean(0)) / signal.std(0)
        for repeat in range(repeats):
            z = np.sqrt(share) * signal
            z = z + np.sqrt(1 - share) * rng.standard_normal(signal.shape) @ root.T
            for k in range(CLIPS):
                first = round((onsets[k] + LAG) / T_R)
                window = np.minimum(first + np.arange(WINDOW), CLIPS - 1)
                if first < CLIPS:
                    rows.append((z[window], own.start + k, s, repeat, onsets[k], volumes[window]))
    x, clip, segment, repeat_of, onset, times = map(np.array, zip(*rows, strict=True))
    kept, clip = np.unique(clip, return_inverse=True)
    trials = Trials(
        x=x.astype(np.float32),
        clip=clip,
        segment=np.array([f"s{k}" for k in segment]),
        features=shown.take(kept),
        repeat=repeat_of,
        onset=onset,
        run=np.array([f"s{s}-{r}" for s, r in zip(segment, repeat_of, strict=True)]),
        times=times,
        duration=np.full(len(kept), DURATION),
    )
    return trials, covariance


def cohort(covariance: np.ndarray) -> CohortNoise:
    rng = np.random.default_rng(11)
    runs = [rng.standard_normal((200, POSITIONS)) @ np.linalg.cholesky(covariance).T for _ in "ab"]
    sample = noise.sample_correlation(runs)
    curve = noise.distance_curve(sample, XYZ)
    mixed, weight = noise.shrunk(sample, curve.matrix(XYZ))
    return CohortNoise(mixed.astype(np.float32), curve, weight, 400, ("a", "b"))


USED = np.ones(POSITIONS, bool)
SETTINGS = settings("align")


def chosen(trials: Trials, covariance: np.ndarray) -> Inversion:
    found = whitening.candidates(trials, USED, XYZ, cohort(covariance))
    return Inversion.choose(trials, USED, SETTINGS, found)


def decoding(path: Inversion | Ridge, test: Trials) -> float:
    """Cosine between decoded and true deviations of the embeddings."""
    weight, bias = path.solve(decoding.training)  # type: ignore[attr-defined]
    guess = test.averaged().reshape(len(test.features.clips), -1) @ weight + bias
    truth = path.targets.values(test.features)
    width = 20
    g, t = guess[:, :width], truth[:, :width]
    return float((g * t).sum() / np.sqrt((g**2).sum() * (t**2).sum()))


def test_weights_are_bayes_rule_written_out() -> None:
    """The posterior mean of scores, from the joint covariance of scores and window as one matrix."""
    rng = np.random.default_rng(0)
    n, d, w = 9, 3, 2
    b = rng.standard_normal((d, n))
    prior = np.cov(rng.standard_normal((d, 20)))
    covariance = np.cov(rng.standard_normal((n, 40)))
    over = np.array([[1.3, 0.4], [0.4, 1.1]])
    between, own = np.array([[0.9, 0.5], [0.5, 0.8]]), np.array([0.7, 0.6])
    signal = np.kron(between, b.T @ prior @ b)
    whole = signal + np.kron(over, covariance)
    expected = np.concatenate([k * prior @ b for k in own], axis=1) @ np.linalg.inv(whole)

    class Known(inversion.Whitened):
        def __init__(self) -> None:
            # with no penalty, fitted weights are those given
            self.aa = np.eye(d)
            self.y = np.linalg.solve(covariance, b.T)
            self.g = b @ self.y

    model = Known()
    inverse = inversion.invert(model, np.zeros(d), prior)
    around = haemodynamics.Surroundings(between, own)
    gain = inversion.gains(inverse, around, over)
    reading = model.y @ inverse.reading
    found = np.einsum("nc,cw,cd->dwn", reading, gain, inverse.back).reshape(d, w * n)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("seed", [1, 2])
def test_inversion_beats_ridge_and_reads_the_right_response(seed: int) -> None:
    every, covariance = brain(seed, segments=5)
    training = every.take(every.segment != "s4")
    test = every.take(every.segment == "s4")
    decoding.training = training  # type: ignore[attr-defined]
    path = chosen(training, covariance)
    assert path.choice.noise != "none"
    plain = Ridge.choose(training, USED, SETTINGS)
    own, other = decoding(path, test), decoding(plain, test)
    assert own > other + 0.02, (own, other)


def test_without_signal_nothing_is_decoded() -> None:
    cosines = []
    for seed in range(4):
        every, covariance = brain(seed, segments=4, share=0.0)
        decoding.training = every.take(every.segment != "s3")  # type: ignore[attr-defined]
        path = chosen(decoding.training, covariance)  # type: ignore[attr-defined]
        cosines.append(decoding(path, every.take(every.segment == "s3")))
    assert abs(np.mean(cosines)) < 3 * np.std(cosines) / np.sqrt(len(cosines)) + 0.02


@pytest.mark.parametrize("name", ["cohort", "own", "both", "none"])
def test_left_out_predictions_never_saw_their_segment(name: str) -> None:
    """A fit that does not see a segment is linear in it, whatever the segment holds."""
    trials, covariance = brain(4)
    found = whitening.candidates(trials, USED, XYZ, cohort(covariance))
    path = Inversion.choose(trials, USED, SETTINGS, {name: found[name]})
    held = trials.segment == "s1"
    added = np.zeros_like(trials.x)
    added[held] = np.random.default_rng(0).standard_normal(added[held].shape)
    none, one, two = (
        path.left_out(Trials(**{**vars(trials), "x": trials.x + k * added})) for k in range(3)
    )
    np.testing.assert_allclose((two - one)[held], (one - none)[held], rtol=1e-2, atol=1e-4)
    assert not np.allclose(none[held], one[held])
    assert not np.allclose(none[~held], one[~held])


def test_noise_of_a_left_out_segment_is_not_whitened_away() -> None:
    """A noise model of the subject's own repeats is made again for each fold, without the fold's trials."""
    trials, covariance = brain(4)
    found = whitening.candidates(trials, USED, XYZ, cohort(covariance))
    path = Inversion.choose(trials, USED, SETTINGS, {"own": found["own"]})
    seen: list[set[str]] = []

    def listening(part: Trials) -> np.ndarray | None:
        seen.append(set(part.segment))
        return found["own"].make(part)

    listened = dataclasses.replace(path, noise=whitening.Candidate(listening, own=True))
    listened.left_out(trials)
    every = set(trials.segment)
    assert seen == [every - {name} for name in dict.fromkeys(trials.segment)]


def test_clips_in_random_order_leak_nothing_into_left_out_predictions() -> None:
    """A run mixes clips of all folds: neither courses nor whitening may know those that are left out."""
    rng = np.random.default_rng(3)
    clips, positions = 90, 40
    names = [f"c{k:03d}" for k in range(clips)]
    shown = features(names, rng)
    mixed = shown.take(rng.permutation(clips))
    order = np.concatenate([rng.permutation(clips) for _ in range(3)])
    runs, onset = np.arange(270) // 30, DURATION * (np.arange(270) % 30)
    noise_of = rng.standard_normal((9, 36, positions))
    start = ((onset + LAG) / T_R).astype(int)
    x = np.stack([noise_of[r, k : k + WINDOW] for r, k in zip(runs, start, strict=True)])
    trials = Trials(
        x=x.astype(np.float32),
        clip=order,
        segment=np.array([f"r{k}" for k in runs]),
        features=mixed,
        repeat=np.ones(270, int),
        onset=onset,
        run=np.array([f"r{k}" for k in runs]),
        times=onset[:, None] + LAG + T_R * np.arange(WINDOW),
        duration=np.full(clips, DURATION),
    )
    used = np.ones(positions, bool)
    xyz = XYZ[:positions]
    for name in ("none", "own"):
        found = whitening.candidates(trials, used, xyz, None)
        path = Inversion.choose(trials, used, SETTINGS, {name: found[name]})
        assert path.choice.scores["text"] < 0.12
        left = path.left_out(trials)[:, 12:20]
        truth = path.targets.values(trials.features)[trials.clip][:, 12:20]
        cosine = (left * truth).sum() / np.sqrt((left**2).sum() * (truth**2).sum())
        assert cosine < 0.12


def test_clips_in_random_order_are_decoded_from_rows_that_know_what_came_before() -> None:
    """Without noise only the overlap of neighbours' responses is left to explain."""
    rng = np.random.default_rng(8)
    clips, positions, runs = 60, 30, 6
    names = [f"c{k:03d}" for k in range(clips)]
    shown = features(names, rng).take(rng.permutation(clips))
    values = np.concatenate([shown.image, shown.text, shown.motion / 4], axis=1)
    weights = rng.standard_normal((22, positions))
    rows = []
    for run in range(runs):
        order = rng.permutation(clips)[:30]
        onsets, volumes = DURATION * np.arange(30), T_R * np.arange(30) + 1.0
        course = haemodynamics.sustained(volumes[:, None] - onsets, np.full(30, DURATION), 5.0)
        z = course @ (values - values.mean(0))[order] @ weights
        rows += [
            (z[k + 2 : k + 4], order[k], run, onsets[k], volumes[k + 2 : k + 4]) for k in range(26)
        ]
    x, clip, run_of, onset, times = map(np.array, zip(*rows, strict=True))
    kept, clip = np.unique(clip, return_inverse=True)
    name = np.array([f"r{k}" for k in run_of])
    trials = Trials(
        x=x.astype(np.float32),
        clip=clip,
        segment=name,
        features=shown.take(kept),
        repeat=np.ones(len(clip), int),
        onset=onset,
        run=name,
        times=times,
        duration=np.full(len(kept), DURATION),
    )
    used, none = np.ones(positions, bool), {"none": whitening.Candidate(lambda trials: None)}
    rows_of_their_own, one_row = (
        Inversion.choose(part, used, SETTINGS, none).choice
        for part in (trials.by_context(), trials.by_clip())
    )
    assert rows_of_their_own.peak == 5.0
    assert rows_of_their_own.scores["text"] > one_row.scores["text"] + 0.02


def test_each_volume_is_kept_once_and_means_over_other_runs_are_not_the_same() -> None:
    trials, _ = brain(1)
    used = USED & (np.arange(POSITIONS) % 3 > 0)
    volumes = inversion.Volumes.of(trials, used)
    np.testing.assert_array_equal(volumes.values[volumes.place], trials.x[:, :, used])
    assert len(volumes.values) < 0.6 * trials.x.shape[0] * trials.x.shape[1]
    # the same run and time, but another mean
    x = trials.x.copy()
    x[5] += 1
    other = inversion.Volumes.of(Trials(**{**vars(trials), "x": x}), used)
    np.testing.assert_array_equal(other.values[other.place], x[:, :, used])
    rows = trials.segment == "s1"
    course = np.random.default_rng(0).standard_normal((*trials.times.shape, 4))
    z = trials.x[rows][:, :, used]
    moments = inversion.Moments.of(course[rows], volumes.take(rows))
    np.testing.assert_allclose(moments.az, np.einsum("rwd,rwn->dn", course[rows], z), atol=1e-3)
    np.testing.assert_allclose(moments.z, z.sum((0, 1)), atol=1e-4)


def test_white_volumes_have_the_products_of_the_inverse_covariance() -> None:
    trials, covariance = brain(1)
    volumes = inversion.Volumes.of(trials, USED)
    expected = volumes.values @ np.linalg.inv(covariance) @ volumes.values.T
    solve = whitening.solver(covariance.copy())
    white = solve.white(volumes.values).astype(float)
    weight = np.random.default_rng(0).standard_normal((POSITIONS, 3))
    as_they_came = volumes.values @ solve.unwhite(weight)
    np.testing.assert_allclose(as_they_came, white @ weight, atol=1e-4)
    np.testing.assert_allclose(white @ white.T, expected, atol=1e-3)
    np.testing.assert_allclose(volumes.values @ solve(volumes.values.T), expected, atol=1e-3)


def test_repeats_without_a_few_runs_are_those_of_the_others() -> None:
    """Taken away from the sums of all runs, or summed by itself: the same noise model."""
    trials, _ = brain(4)
    part = trials.take(trials.segment != "s1")
    whole, direct = (whitening.candidates(of, USED, XYZ, None)["own"] for of in (trials, part))
    found, expected = whole.make(part), direct.make(part)
    assert found is not None and expected is not None
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not np.allclose(found, whole.make(trials))


def test_a_ridge_on_others_weights_is_one_on_whitened_windows() -> None:
    """As fitted to windows whitened by hand; left-out predictions are those of fits without them."""
    other, covariance = brain(21, segments=2)
    start = Ridge.choose(other, USED, SETTINGS).decoder(other).readout
    training, _ = brain(22, segments=3)
    used = USED & (np.arange(POSITIONS) % 4 > 0)
    found = whitening.candidates(training, used, XYZ, cohort(covariance))
    tuned = Ridge.choose(training, used, SETTINGS, start, {"cohort": found["cohort"]})
    assert tuned.chosen["noise"] == "cohort" and "the cohort's noise model" in tuned.told()
    noise_of = found["cohort"].make(training)
    assert noise_of is not None
    white = training.x[:, :, used] @ np.linalg.inv(np.linalg.cholesky(noise_of)).T
    x = np.where(used, training.x, 0).reshape(len(training.x), -1)
    assert tuned.prior is not None
    y = tuned.targets.values(training.features)[training.clip]
    groups = tuned.targets.groups(training.features)

    def by_hand(rows: np.ndarray) -> np.ndarray:
        flat = white.reshape(len(white), -1)
        left = y - x @ tuned.prior
        weight, bias = ridge.fit(flat[rows], left[rows], tuned.alphas, groups)
        return flat @ weight + bias + x @ tuned.prior

    weight, bias = tuned.solve(training)
    np.testing.assert_allclose(x @ weight + bias, by_hand(np.ones(len(x), bool)), atol=1e-4)
    held = training.segment == "s1"
    np.testing.assert_allclose(tuned.left_out(training)[held], by_hand(~held)[held], atol=1e-4)
    # noise that a fold's own trials tell is not tried, and the best on left-out segments is taken
    every = Ridge.choose(training, used, SETTINGS, start, found)
    scores = {}
    for name in ("cohort", "distance", "none"):
        one = Ridge.choose(training, used, SETTINGS, start, {name: found[name]})
        scores[name] = one.penalties["image"][1] + one.penalties["text"][1]
    assert every.noise == max(scores, key=lambda name: scores[name])


def test_windows_too_early_for_a_response_have_no_response_function() -> None:
    trials, _ = brain(1)
    assert haemodynamics.peaks(trials) == haemodynamics.PEAKS
    early = Trials(**{**vars(trials), "times": trials.times - LAG})
    assert haemodynamics.peaks(early) == (None,)


def test_surroundings_of_short_runs_are_those_of_all_their_clips(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    trials, _ = brain(2, segments=8)
    scores = Latent.of(trials.features, 0.97, 50).scores(trials.features)
    monkeypatch.setattr(haemodynamics, "_EXAMPLES", 10**6)
    every = haemodynamics.surroundings(trials, scores, 5.0)
    monkeypatch.setattr(haemodynamics, "_EXAMPLES", 20)
    some = haemodynamics.surroundings(trials, scores, 5.0)
    np.testing.assert_allclose(some.own, every.own, rtol=0.15)
    np.testing.assert_allclose(some.between, every.between, rtol=0.15)


def test_copies_of_a_run_tell_nothing_of_noise() -> None:
    trials, _ = brain(1)
    same = trials.x[trials.rows_of[0][0]]
    x = np.stack([trials.x[trials.rows_of[clip][0]] for clip in trials.clip])
    copied = Trials(**{**vars(trials), "x": x})
    assert same.any() and list(whitening.candidates(copied, USED, XYZ, None)) == ["none"]


def test_a_sustained_stimulus_reaches_one_and_delays_with_the_peak() -> None:
    elapsed = np.arange(0, 80, 0.5)
    for peak in (4.0, 6.0):
        course = haemodynamics.sustained(elapsed, np.array(1e6), peak)
        assert course[-1] == pytest.approx(1) and course[0] == 0
        brief = haemodynamics.sustained(elapsed, np.array(0.5), peak)
        assert elapsed[brief.argmax()] == pytest.approx(peak, abs=0.8)


def test_neighbours_count_as_far_as_films_are_smooth() -> None:
    trials, _ = brain(3)
    latent = Latent.of(trials.features, 0.99, 50)
    scores = latent.scores(trials.features)
    apart, alike = haemodynamics.resemblance(trials, scores[:, latent.bands == 0])
    assert alike[0] == 1
    at = dict(zip(apart, alike, strict=True))
    # a moving sum of three: 2/3 and 1/3, then nothing
    assert at[2.0] == pytest.approx(2 / 3, abs=0.12) and at[4.0] == pytest.approx(1 / 3, abs=0.12)
    assert at[10.0] < 0.2


def test_motion_has_a_band_of_its_own() -> None:
    trials, _ = brain(2)
    latent = Latent.of(trials.features, 0.97, 50)
    scores = latent.scores(trials.features)
    assert (latent.bands == 1).sum() == 2
    np.testing.assert_allclose(scores.mean(0), 0, atol=1e-6)
    assert scores.std(0).max() == pytest.approx(1, abs=1e-6)
    still = ClipFeatures(**{**vars(trials.features), "motion": np.zeros((len(scores), 2))})
    assert (Latent.of(still, 0.97, 50).bands == 0).all()


def test_whitening_without_repeats_or_cohort_is_none() -> None:
    trials, covariance = brain(1, repeats=1)
    assert list(whitening.candidates(trials, USED, XYZ, None)) == ["none"]
    assert list(whitening.candidates(trials, USED, XYZ, cohort(covariance))) == [
        "cohort",
        "distance",
        "none",
    ]


def test_repeat_differences_have_the_noise_of_one_showing() -> None:
    trials, covariance = brain(6, share=0.5, repeats=3)
    rows = np.concatenate(list(whitening.repeat_differences(trials, USED)))
    assert (rows**2).mean() == pytest.approx(0.5, rel=0.1)
    near = np.corrcoef(rows.T)[0, 1]
    assert near == pytest.approx(covariance[0, 1], abs=0.12)


def test_the_first_option_stays_unless_another_is_better_by_a_standard_error() -> None:
    def scored(*by_fold: float) -> inversion._Scored:
        mean = float(np.mean(by_fold))
        return inversion._Scored({"image": mean, "text": mean}, np.array(by_fold))

    first = scored(0.2, 0.3, 0.4)
    assert inversion.preferred({"a": first, "b": scored(0.9, 0.1, 0.0)}) == "a"
    assert inversion.preferred({"a": first, "b": scored(0.25, 0.35, 0.46)}) == "b"
    several = {"a": first, "b": scored(0.25, 0.35, 0.46), "c": scored(0.3, 0.4, 0.52)}
    assert inversion.preferred(several) == "c"
    assert inversion.preferred({"a": first, "b": first}) == "a"

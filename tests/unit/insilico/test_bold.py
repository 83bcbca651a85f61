from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from tests.fixtures_presentations import shown_by

from boldreel.data import bids, bids_inheritance, nifti
from boldreel.errors import UserError
from boldreel.insilico import anatomy, bold, encoding, features, head, response
from boldreel.insilico.subject import Subject


@pytest.fixture(scope="module")
def repeats(cfg, subject, drives, brain_series):
    """Three repeats of a movie: cleaned series of every repeat."""
    runs = []
    answers = response.Response(cfg, subject, "01", drives)
    for repeat in (1, 2, 3):
        data, _, poses = bold.simulate(cfg, answers, "test01", repeat)
        runs.append(brain_series(subject, data, poses))
    return np.stack(runs)


def test_without_signal_repeats_do_not_agree(cfg, silent_subject, drives, brain_series):
    series = []
    for repeat in (1, 2):
        short = replace(cfg, volumes=40)
        answers = response.Response(short, silent_subject, "03", drives)
        data, _, poses = bold.simulate(short, answers, "test01", repeat)
        run = brain_series(silent_subject, data, poses)
        # What the whole brain shares would correlate by chance, everywhere alike.
        run -= run.mean(1, keepdims=True)
        series.append(run / run.std(0))
    assert abs(np.mean(series[0] * series[1])) < 0.03


def test_repeats_agree_as_much_as_explainable_variance_says(subject, repeats):
    model = subject.model
    visual = model.grey & (model.ev > 0)
    z = repeats / repeats.std(1, keepdims=True)
    pairs = np.mean([(z[a] * z[b]).mean(0) for a, b in ((0, 1), (0, 2), (1, 2))], axis=0)
    assert np.median(pairs[visual]) == pytest.approx(np.median(model.ev[visual]), abs=0.06)
    control = model.group == "control"
    assert abs(np.median(pairs[control])) < 0.06
    expected = encoding.noise_ceiling(np.median(model.ev[visual]), 3)
    measured = encoding.noise_ceiling(np.median(pairs[visual]), 3)
    assert measured == pytest.approx(expected, abs=0.05)


def test_the_signal_that_is_seen_is_the_true_one(cfg, subject, drives, repeats):
    truth = response.Response(cfg, subject, "01", drives).courses("test01", 1)
    # Compared at the middle of the volume; slices differ by up to 1 s from it.
    middle = np.round((np.arange(60) * 2 + 1) / features.INTERVAL).astype(int)
    visual = subject.model.grey & (subject.model.ev > 0.3)
    seen, true = repeats.mean(0)[:, visual], truth[visual][:, middle].T
    lags = {
        lag: np.mean(
            [
                np.corrcoef(a, b)[0, 1]
                for a, b in zip(seen[8:-8].T, np.roll(true, lag, 0)[8:-8].T, strict=True)
            ]
        )
        for lag in (-2, -1, 0, 1, 2)
    }
    assert max(lags, key=lags.get) == 0
    assert lags[0] > 0.6


def test_drift_and_noise_are_of_their_size(subject, repeats):
    # Interpolation on the way takes about half of the sd.
    sd = repeats[:, :, subject.model.group == "control"].std(1)
    assert 0.4 < np.median(sd) / np.median(subject.model.noise_sd) < 0.9


def test_a_run_on_disk(cfg, subject, drives, tmp_path):
    truth = tmp_path / "truth" / "sub-03"
    facts, model = anatomy.truth(cfg, "03")
    truth.mkdir(parents=True)
    (truth / "anatomy.json").write_text(json.dumps(facts))
    model.save(truth / "encoding.npz")
    anatomy.write_still_image(truth / "epi.npz", subject.still)
    func = tmp_path / "bids" / "sub-03" / "func"
    few = {"volumes": 10, "train_movies": 1, "train_repeats": 1, "test_repeats": 2}
    config = json.dumps({**asdict(cfg), **few})
    command = ["--subject", "03", "--config", config, "--drive", str(drives)]
    command += ["--func", str(func), "--truth", str(truth)]

    def scan(repeat):
        return func / f"sub-03_task-test01_run-{repeat}_bold.nii"

    bold.main(command)
    path = scan(1)
    first = path.read_bytes()
    image = nifti.load(path)
    assert image.shape == (*facts["field_of_view"]["shape"], 10)
    assert image.header.get_zooms()[3] == 2.0
    assert np.allclose(image.affine, facts["field_of_view"]["affine"], atol=1e-4)
    other = nifti.values(nifti.load(scan(2)))
    assert not np.array_equal(other, nifti.values(image))
    bold.main(command)
    assert path.read_bytes() == first

    runs = bids.find_runs(tmp_path / "bids", "03")
    labels = ["task-test01_run-1", "task-test01_run-2", "task-train01_run-1"]
    assert [run.label for run in runs] == labels
    sidecar = bids_inheritance.read_sidecar(path)
    assert sidecar["RepetitionTime"] == 2.0
    assert sidecar["TaskName"] == "test01"
    assert len(sidecar["SliceTiming"]) == image.shape[2]
    assert max(sidecar["SliceTiming"]) < 2.0
    (shown,) = shown_by(runs[0].events)
    assert (shown.onset, shown.duration, shown.stimulus) == (0, 20, "test01.mp4")
    motion = json.loads((truth / "task-test01_run-1.json").read_text())["motion"]
    assert np.array(motion["t1w_to_scanner"]).shape == (10, 4, 4)
    relative = head.relative(np.array(motion["t1w_to_scanner"]), np.array(motion["centre"]))
    assert np.allclose(relative, motion["motion"], atol=1e-4)


def test_a_missing_truth_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"insilico\.anatomy"):
        Subject.load(tmp_path)

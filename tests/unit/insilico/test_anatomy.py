from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from boldreel.data import nifti
from boldreel.insilico import anatomy, hrf, template
from boldreel.insilico.subject import Subject


@pytest.fixture(scope="module")
def written(cfg, tmp_path_factory):
    folder = tmp_path_factory.mktemp("anatomy")
    t1w, truth = folder / "sub-01_T1w.nii.gz", folder / "truth" / "sub-01" / "anatomy.json"
    anatomy.main(
        ["--subject", "01", "--output", str(t1w), "--truth", str(truth)]
        + ["--config", json.dumps(asdict(cfg))]
    )
    return t1w, truth


def test_the_true_matrix_brings_the_t1w_image_onto_the_template(written):
    image = nifti.load(written[0])
    facts = json.loads(written[1].read_text())
    assert image.shape == (104, 124, 112)
    rng = np.random.default_rng(0)
    points = rng.uniform([-60, -95, -30], [60, 60, 60], (20000, 3)).T
    brain = template.load("t1").sample(points)
    points, brain = points[:, brain > 0.1], brain[brain > 0.1]
    values = template.Volume(nifti.values(image), image.affine)

    def agreement(shift):
        to_t1w = np.linalg.inv(np.array(facts["t1w_to_mni"]))
        return np.corrcoef(values.sample(template.move(to_t1w, points + shift)), brain)[0, 1]

    right = agreement(np.zeros((3, 1)))
    assert right > 0.85
    for axis in range(3):
        for step in (-3, 3):
            assert agreement(step * np.eye(3)[:, [axis]]) < right - 0.02


def test_subject_can_be_read_back(written, cfg):
    subject = Subject.load(written[1].parent)
    facts, model = anatomy.truth(cfg, "01")
    assert np.array_equal(subject.model.weights, model.weights)
    assert subject.model.shape == model.shape
    assert subject.time_to_peak == facts["hrf"]["time_to_peak"]
    low, high = anatomy.TIME_TO_PEAK
    assert low <= subject.time_to_peak <= high
    assert facts["hrf"]["response_peak_s"] == hrf.response_peak(subject.time_to_peak)


def test_subjects_differ_and_seeds_decide(cfg):
    one, other = (anatomy.generator(7, "anatomy", label).random() for label in ("01", "02"))
    assert one != other
    assert anatomy.generator(7, "anatomy", "01").random() == one
    assert anatomy.generator(8, "anatomy", "01").random() != one

from __future__ import annotations

import numpy as np
import pytest

from boldreel.errors import UserError
from boldreel.insilico import areas, encoding, features


def visual(model):
    return model.grey & (model.shares.sum(1) > 0)


def test_explainable_variance_is_as_asked(subject, silent_subject):
    ev = subject.model.ev
    assert np.median(ev[visual(subject.model)]) == pytest.approx(0.3)
    assert np.log(ev[visual(subject.model)]).std() == pytest.approx(encoding.EV_SPREAD, abs=0.15)
    assert (silent_subject.model.ev == 0).all()


def test_size_and_place(subject):
    model = subject.model
    assert 1000 <= visual(model).sum() <= 1800
    left = model.hemisphere[model.grey] == "L"
    assert (np.sign(model.mni[model.grey, 0]) == np.where(left, -1, 1)).mean() > 0.95
    assert np.allclose(model.index @ model.affine[:3, :3] + model.affine[:3, 3], model.mni)


def test_control_areas_do_not_respond(subject):
    control = subject.model.group == "control"
    assert control.sum() > 50
    assert (subject.model.ev[control] == 0).all()
    assert (subject.model.weights[control] == 0).all()


def test_each_area_has_nuisance_of_a_quarter(subject):
    shares = subject.model.shares[visual(subject.model)]
    assert np.allclose(shares.sum(1), 1)
    columns = [k for k, name in enumerate(features.BLOCKS) if name.startswith("nuisance")]
    assert np.allclose(shares[:, columns].sum(1), encoding.NUISANCE)


def test_early_areas_see_the_other_side():
    mni = np.array([[-10.0, -80, 0], [10.0, -80, 0], [-10.0, -80, 16]])
    seen = encoding.receptive_fields(mni, np.array(["V1"] * 3), np.zeros((3, 2)))
    cells = seen.reshape(3, features.GRID, features.GRID)
    half = features.GRID // 2
    assert cells[0, :, half:].sum() > 0.9
    assert cells[1, :, :half].sum() > 0.9
    # above the calcarine sulcus: the lower half of the field, further down in the frame
    assert cells[2, half:].sum() > 0.9


def test_effective_weights_make_the_asked_variance(subject):
    model = subject.model
    rng = np.random.default_rng(5)
    mixing = rng.standard_normal((len(features.block_of_feature()), 600))
    covariance = mixing @ mixing.T / 600
    weights = encoding.effective_weights(model, covariance)
    signal = np.einsum("nf,nf->n", weights @ covariance, weights)
    noise = model.noise_sd[tuple(model.index.T)] ** 2
    assert np.allclose(signal / (signal + noise), model.ev, atol=1e-3)


def test_weights_are_partly_shared_between_subjects(subject, silent_subject):
    first, second = subject.model, silent_subject.model
    assert np.array_equal(first.index, second.index)
    columns = features.block_of_feature() == list(features.BLOCKS).index("object")
    rows = first.weights[:, columns].any(1)
    r = np.corrcoef(
        first.weights[np.ix_(rows, columns)].ravel(), second.weights[np.ix_(rows, columns)].ravel()
    )[0, 1]
    assert r == pytest.approx(encoding.SHARED, abs=0.12)


def test_noise_ceiling():
    # Spearman-Brown: ten repeats of EV .03
    assert encoding.noise_ceiling(np.array(0.03), 10) == pytest.approx(0.486, abs=0.001)
    assert encoding.noise_ceiling(np.array(0.0), 10) == 0


def test_a_damaged_table_of_centres_is_refused(tmp_path):
    (tmp_path / "c.tsv").write_text("area\tx\nV1\tleft\n")
    with pytest.raises(UserError, match=r"c\.tsv"):
        areas.read_centres(tmp_path / "c.tsv")

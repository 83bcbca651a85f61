"""The step that estimates the cohort's noise."""

import numpy as np
import pytest
from tests.unit.pretrain.conftest import write_cohort

from boldreel.data import cohort_noise
from boldreel.errors import UserError
from boldreel.pretrain import corpus, noise


def test_noise_of_a_corpus(tmp_path, capsys):
    paths, positions = write_cohort(tmp_path)
    corpus.build(paths, positions, tmp_path / "corpus")
    argv = ["--corpus", str(tmp_path / "corpus"), "--output", str(tmp_path / "noise")]
    noise.main(argv)
    found = cohort_noise.read(tmp_path / "noise")
    assert found.subjects == ("rest01", "rest02", "rest03")
    assert found.volumes == 6 * 60
    padding = np.arange(len(found.correlation)) % 16 == 15
    np.testing.assert_array_equal(found.correlation[padding], np.eye(len(padding))[padding])
    assert np.linalg.eigvalsh(found.correlation.astype(float))[0] > 0
    # slow waves over positions: neighbours agree, distant positions do not
    assert found.correlation[0, 1] > 0.4 > found.correlation[0, 100]
    assert "3 subjects" in capsys.readouterr().out


def test_missing_noise_model_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"correlation\.json"):
        cohort_noise.read(tmp_path)


def test_a_large_corpus_is_read_by_whole_runs_spread_evenly(tmp_path):
    paths, positions = write_cohort(tmp_path)
    corpus.build(paths, positions, tmp_path / "corpus")
    opened = corpus.Corpus.open(tmp_path / "corpus")
    rows = np.arange(len(opened))  # six runs of 60 volumes
    assert corpus.runs_within(opened, rows, 1000).tolist() == list(range(6))
    assert corpus.runs_within(opened, rows, 120).tolist() == [0, 5]
    assert corpus.runs_within(opened, rows[60:180], 60).tolist() == [1]

"""Attributes read from predictions and from responses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures_settings import words

from boldreel.align import train
from boldreel.align.ridge import Split
from boldreel.data import tables
from boldreel.data.left_out import LeftOut
from boldreel.errors import UserError
from boldreel.probe import attributes, encode
from boldreel.probe.attributes import Labels


def align(study: Any, pretrained: Path, folder: Path) -> None:
    train.main(
        [
            *("--pretrained", str(pretrained), "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--voxels", str(study.voxels)),
            *("--clips", str(study.clips), "--features", *map(str, study.features)),
            *("--left-out", str(folder / "left_out.npy"), "--output", str(folder)),
            *("--state", str(folder / "state")),
            *(
                "--config",
                words("align", seed=1, epochs=0, warmup_epochs=0, batch_size=40, depth=1),
            ),
        ]
    )


def read_all(study: Any, folder: Path) -> Any:
    attributes.main(
        [
            *("--subject", "01", "--align", str(folder), "--test", str(folder / "test")),
            *("--left-out", str(folder / "left_out.npy"), "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--voxels", str(study.voxels)),
            *("--clips", str(study.clips), "--features", *map(str, study.features)),
            *("--output", str(folder / "attributes.tsv"), "--config", '{"seed": 1}'),
        ]
    )
    return tables.read(folder / "attributes.tsv", "attributes").set_index(["attribute", "source"])


def test_both_sources_read_what_responses_hold(
    study: Any, pretrained: Path, tmp_path: Path
) -> None:
    align(study, pretrained, tmp_path)
    encode.main(
        [
            *("--align", str(tmp_path), "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--output", str(tmp_path / "test")),
        ]
    )
    found = read_all(study, tmp_path)
    for source in ("encoder", "responses"):
        rows = found.xs(source, level="source")
        assert (rows["value"] > rows["chance"] + 0.1).all()
    encoder = found.xs("encoder", level="source")
    difference = encoder["value"] - found.xs("responses", level="source")["value"]
    np.testing.assert_allclose(encoder["difference"], difference, atol=1e-9)
    # predictions of other clips than the windows show are refused
    left_out = LeftOut.load(tmp_path / "left_out.npy")
    replace(left_out, clips=["other", *left_out.clips[1:]]).save(tmp_path / "left_out.npy")
    with pytest.raises(UserError, match="other clips than in the windows"):
        read_all(study, tmp_path)


def test_noise_is_read_at_chance() -> None:
    rng = np.random.default_rng(0)
    training = [{"object": name} for name in rng.choice(["a", "b", "c"], 120)]
    test = [{"object": name} for name in rng.choice(["a", "b", "c"], 600)]
    labels = Labels.of(training, test)
    folds, own = np.repeat(np.arange(4), 30), np.arange(120)
    x, far = rng.standard_normal((120, 20)), rng.standard_normal((600, 20))
    for scores in (
        attributes.of_responses(x, own, Split.by(folds), far, labels),
        attributes.of_predictions(x, far, labels),
    ):
        right = (scores["object"].argmax(1) == labels.test[0]).mean()
        assert right == pytest.approx(1 / 3, abs=0.08)


def test_a_rare_class_with_small_scores_is_still_read() -> None:
    """Scores are calibrated: plain ridge scores would name the frequent class every time."""
    rng = np.random.default_rng(1)
    truth = (rng.random(600) < 0.1).astype(int)
    x = truth[:, None] * 2.5 + rng.standard_normal((600, 1))
    names = [{"object": "rare" if one else "common"} for one in truth]
    labels = Labels.of(names[:300], names[300:])
    folds = np.repeat(np.arange(3), 100)
    found = attributes.of_responses(x[:300], np.arange(300), Split.by(folds), x[300:], labels)[
        "object"
    ]
    guess = found.argmax(1)
    rare = labels.test[0] == list(labels.values[0]).index("rare")
    assert (guess[rare] == labels.test[0][rare]).mean() > 0.6


def test_an_attribute_that_training_lacks_or_never_varies_is_left_out() -> None:
    training = [{"object": "a", "size": "s"}, {"object": "b", "size": "s"}] * 3
    training = [{**one, "name": str(k)} for k, one in enumerate(training)]
    test = [{"object": name, "size": "s", "colour": "red", "name": "1"} for name in "cb"]
    labels = Labels.of(training, test)
    assert labels.names == ["object"]
    assert labels.test.tolist() == [[-1, 1]]
    assert Labels.of(training, test[:1]).names == []

"""What a name of a base model means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from boldreel import presets
from boldreel.base_models.names import Repository, parse
from boldreel.errors import UserError


@pytest.mark.parametrize(
    ("name", "repository", "revision"),
    [
        ("openai/clip-vit-large-patch14", "openai/clip-vit-large-patch14", None),
        ("owner/name@v1.5", "owner/name", "v1.5"),
        ("owner/name@refs/pr/3", "owner/name", "refs/pr/3"),
        ("bert-base-uncased", "bert-base-uncased", None),
    ],
)
def test_names_of_the_hub(name: str, repository: str, revision: str | None) -> None:
    assert parse("clip", name) == Repository(repository, revision)
    assert str(parse("clip", name)) == name


def test_a_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert parse("clip", "owner/name") == Path("owner/name")
    assert parse("clip", tmp_path) == tmp_path


@pytest.mark.parametrize(
    "name",
    [
        *("./nowhere", "/nowhere", "~/nowhere", "a/b/c", "a\\b", "owner/", "/", "own er/name"),
        *("owner/name@", "owner/name@../..", "owner/../name", "owner--name", "@main", "a/b/c@v1"),
    ],
)
def test_what_is_neither_is_one_line(name: str, tmp_path: Path) -> None:
    if name == "/":
        name = str(tmp_path / "weights.pth")
        Path(name).touch()
    with pytest.raises(UserError, match=r"^models\.clip: ") as caught:
        parse("clip", name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("preset", ["base", "mindvideo"])
def test_presets_name_a_commit(preset: str) -> None:
    """What a branch holds changes, and with it results that say they came from the same configuration."""
    named = presets.load(preset)["models"]
    assert named.keys() >= {"clip", "diffusion", "image_classifier", "video_classifier", "caption"}
    for role, name in named.items():
        if name is None:
            continue
        found = parse(role, name)
        assert isinstance(found, Repository)
        assert found.revision and re.fullmatch("[0-9a-f]{40}", found.revision), name

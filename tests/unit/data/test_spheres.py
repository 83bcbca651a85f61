"""Where the spheres of the mesh of 59k vertices are found, by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from boldreel.data import spheres
from boldreel.errors import UserError

TEMPLATEFLOW = "tpl-fsLR_hemi-{side}_den-59k_sphere.surf.gii"


def write(folder: Path, name: str, text: str = "x") -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name.format(side=side) for side in "LR"]
    for path in paths:
        path.write_text(text)
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    "name",
    [
        TEMPLATEFLOW,
        "tpl-fsLR_den-59k_hemi-{side}_sphere.surf.gii",
        "{side}.sphere.59k_fs_LR.surf.gii",
        "S1200.{side}.sphere.59k_fs_LR.surf.gii",
        "100610.{side}.sphere.59k_fs_LR.surf.gii",
    ],
)
def test_names_of_templateflow_and_the_hcp(tmp_path, name):
    others = (
        "tpl-fsLR_space-fsaverage_hemi-{side}_den-59k_sphere.surf.gii",
        "tpl-fsLR_hemi-{side}_den-32k_sphere.surf.gii",
        "{side}.sphere.32k_fs_LR.surf.gii",
        "fsaverage_LR.{side}.midthickness.59k_fs_LR.surf.gii",
    )
    for other in others:
        write(tmp_path, other)
    with pytest.raises(UserError, match=r"bold\.spheres"):
        spheres.find(tmp_path)
    written = write(tmp_path, name)
    assert spheres.find(tmp_path) == written


@pytest.mark.parametrize(
    ("variable", "below"), [("TEMPLATEFLOW_HOME", ""), ("XDG_CACHE_HOME", "templateflow")]
)
def test_the_cache_of_templateflow(tmp_path, monkeypatch, variable, below):
    """It lays out empty files, and fills them when they are asked for."""
    for name in ("TEMPLATEFLOW_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(variable, str(tmp_path))
    folder = tmp_path / below / "tpl-fsLR"
    write(folder, TEMPLATEFLOW, "")
    with pytest.raises(UserError, match=r"59k.*templateflow\.api.*density='59k'") as error:
        spheres.find(None)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)
    written = write(folder, TEMPLATEFLOW)
    assert spheres.find(None) == written


def test_one_hemisphere_is_not_enough(tmp_path):
    Path(write(tmp_path, TEMPLATEFLOW)[1]).unlink()
    with pytest.raises(UserError, match="each with its R"):
        spheres.find(tmp_path)

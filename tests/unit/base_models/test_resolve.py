"""Where a model is found, what is said where it is not, and what is downloaded."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tests.tools.tiny_hub import COMMIT, MODELS, Hub

from boldreel.base_models import __main__ as command_line
from boldreel.base_models import cache, diffusion, load, resolve
from boldreel.base_models import hub as asking
from boldreel.base_models.names import Repository
from boldreel.errors import UserError

CLIP = MODELS["clip"][0]
SD = MODELS["diffusion"][0]


@pytest.mark.parametrize("role", MODELS)
@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}"])
def test_revisions_are_read_for_every_role(hub: Hub, role: str, revision: str) -> None:
    name = MODELS[role][0]
    assert resolve.find(role, name + revision) == hub.snapshot(name)


@pytest.mark.parametrize("role", MODELS)
def test_the_same_fault_has_the_same_text(hub: Hub, role: str, tmp_path: Path) -> None:
    said = []
    for name in ("nobody/nothing", f"{MODELS[role][0]}@v9", str(tmp_path / "no"), str(tmp_path)):
        with pytest.raises(UserError) as caught:
            resolve.find(role, name)
        said.append(str(caught.value))
        assert "\n" not in said[-1] and said[-1].startswith(f"models.{role}: {name}: ")
    assert all(f"python -m boldreel.base_models {role}=" in line for line in said[:2])
    assert "HF_HUB_OFFLINE is set" in said[0] and "no such folder" in said[2]
    assert "is missing" in said[3]


def test_only_parts_that_are_asked_for_are_looked_at(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(hub.snapshot(SD), folder)
    shutil.rmtree(folder / "text_encoder")
    assert resolve.find("diffusion", folder, "unet", "vae") == folder
    with pytest.raises(UserError, match=r"text_encoder/config\.json is missing"):
        resolve.find("diffusion", folder)


def test_a_half_download_is_told_with_what_is_missing(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(hub.place(CLIP), tmp_path / "hub" / hub.place(CLIP).name, symlinks=True)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    found = cache.snapshot(Repository(CLIP))
    assert found is not None and found.is_relative_to(tmp_path)
    (found / "model.safetensors").resolve().unlink()  # a link to nothing
    with pytest.raises(UserError, match=r"model\.safetensors is missing in the hub's cache"):
        resolve.find("clip", CLIP)


def test_variants_beside_the_weights_change_no_identity(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(hub.snapshot(SD), folder)
    whole = diffusion.identity(folder)
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").unlink()
    (folder / "unet" / "diffusion_pytorch_model.non_ema.safetensors").unlink()
    assert diffusion.identity(folder) == whole
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["conv_in.bias"] += 1
    save_file(tensors, weights)
    assert diffusion.identity(folder) != whole


def test_a_network_without_its_head_is_refused(hub: Hub, tmp_path: Path) -> None:
    """Weights that are missing would be drawn at random, and a judge would judge at random."""
    from transformers import AutoModelForImageClassification

    folder = tmp_path / "judge"
    shutil.copytree(hub.snapshot(MODELS["image_classifier"][0]), folder)
    tensors = load_file(folder / "model.safetensors")
    tensors = {name: t for name, t in tensors.items() if not name.startswith("classifier.")}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"2 of its tensors are missing, such as classifier"):
        load.network("image_classifier", folder, "model", AutoModelForImageClassification)


@pytest.fixture
def online(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub that answers with the files of the full cache, and an empty cache of one's own."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")

    def listing(repository: Repository, timeout: float | None = None) -> list[str]:
        whole = hub.snapshot(repository.id)
        if not whole.is_dir():
            raise asking.UnknownModel(f"the hub has no model {repository.id}")
        return [p.relative_to(whole).as_posix() for p in whole.rglob("*") if p.is_file()]

    def download(repository: Repository, names: list[str]) -> Path:
        own = Hub(tmp_path)
        for name in names:
            own.add(repository.id, name, (hub.snapshot(repository.id) / name).read_bytes())
        return own.snapshot(repository.id)

    monkeypatch.setattr(asking, "listing", listing)
    monkeypatch.setattr(asking, "download", download)
    return tmp_path


def test_what_is_read_is_downloaded_and_nothing_else(online: Path, capsys) -> None:
    command_line.main([f"diffusion={SD}", f"clip={CLIP}"])
    folder = Hub(online).snapshot(SD)
    assert str(folder) in capsys.readouterr().out
    left = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    assert "unet/diffusion_pytorch_model.safetensors" in left
    assert not [name for name in left if "fp16" in name or "non_ema" in name or "v1-5" in name]
    with pytest.raises(UserError, match="the hub has no model nobody/nothing"):
        command_line.main(["clip=nobody/nothing"])


def test_where_the_hub_cannot_be_reached(online: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> list[str]:
        raise asking.Unreachable("no network")

    monkeypatch.setattr(asking, "listing", away)
    with pytest.raises(UserError, match=r"the hub cannot be reached \(no network\)"):
        resolve.find("clip", CLIP)


def test_the_hub_is_asked_by_its_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which errors of huggingface_hub mean what."""
    import huggingface_hub
    from huggingface_hub import errors

    raised: list[BaseException] = []

    def model_info(*_: object, **__: object) -> None:
        raise raised[0]

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)

    def error(kind: type) -> BaseException:
        made = kind.__new__(kind)
        made.args = ("said\nmore",)
        return made

    for kind, meant in (
        (errors.RepositoryNotFoundError, asking.UnknownModel),
        (errors.GatedRepoError, asking.UnknownModel),
        (errors.RevisionNotFoundError, asking.UnknownModel),
        (errors.OfflineModeIsEnabled, asking.Unreachable),
        (ConnectionError, asking.Unreachable),
    ):
        raised[:] = [error(kind)]
        with pytest.raises(meant) as caught:
            asking.listing(Repository("a/b", "v1"))
        assert "\n" not in str(caught.value)


def test_a_client_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(asking.Unreachable, match="not installed"):
        asking.listing(Repository("a/b"))


def test_code_that_a_model_brings_along_is_never_executed(tmp_path, monkeypatch):  # type: ignore[no-untyped-def]
    """A folder whose configuration names classes of its own: one line, no question and no import."""
    import json

    from transformers import AutoModel, AutoTokenizer

    from boldreel.base_models import load

    ran = tmp_path / "ran"
    (tmp_path / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: pass\n")
    names = dict.fromkeys(("AutoConfig", "AutoModel"), "own.Own") | {
        "AutoTokenizer": ["own.Own", None]
    }
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": names}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"auto_map": names}))
    monkeypatch.setattr(load.resolve, "find", lambda *_: tmp_path)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    for opening, part, kind in (
        (load.network, "model", AutoModel),
        (load.tool, "tokenizer", AutoTokenizer),
    ):
        with pytest.raises(UserError, match="cannot be loaded"):
            opening("sentence", str(tmp_path), part, kind)
    assert not ran.exists()

"""Which files of a repository are read, and which are missing."""

from __future__ import annotations

import pytest

from boldreel.base_models.layouts import ROLES, parts_of, select


def _diffusion(*unet: str) -> tuple[list[str], list[str]]:
    return select(parts_of("diffusion", ["unet"]), ["unet/config.json", *unet])


def test_variants_and_training_copies_are_not_read(hub) -> None:
    folder = hub.snapshot("stable-diffusion-v1-5/stable-diffusion-v1-5")
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    chosen, missing = select(parts_of("diffusion"), names)
    assert not missing
    assert [name for name in chosen if name.startswith(("unet/", "v1-5"))] == [
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    ]
    assert {"tokenizer/vocab.json", "tokenizer/merges.txt"} <= set(chosen)


def test_shards_are_read_when_all_are_there() -> None:
    index = "unet/diffusion_pytorch_model.safetensors.index.json"
    shards = [f"unet/diffusion_pytorch_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    assert _diffusion(index, *shards) == (sorted(["unet/config.json", index, *shards]), [])
    assert _diffusion(index, shards[0])[1] == ["unet/diffusion_pytorch_model.safetensors"]


def test_a_pickle_is_read_where_there_is_nothing_else() -> None:
    pickled, safe = (f"unet/diffusion_pytorch_model.{end}" for end in ("bin", "safetensors"))
    assert pickled in _diffusion(pickled)[0]
    assert pickled not in _diffusion(pickled, safe)[0]


def test_another_float_type_alone_is_none() -> None:
    assert _diffusion("unet/diffusion_pytorch_model.fp16.safetensors")[1]


@pytest.mark.parametrize("role", ROLES)
def test_every_part_needs_something(role: str) -> None:
    chosen, missing = select(parts_of(role), [])
    assert not chosen and len(missing) >= 3

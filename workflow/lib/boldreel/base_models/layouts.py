"""Which files a base model must have, by its role and its parts.

Takes the names of files, of a folder or of a hub's listing; returns those that are read and those that are
missing. Repositories hold more than is read: other formats, other float types, training copies of the
weights. If weights exist in several formats, safetensors are used, as in `from_pretrained`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

# One way to fill a need: names or patterns of files that belong together.
Way = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """A part of a model that is opened separately.

    folder : folder in the repository, empty for its root.
    needs : for each need the ways to meet it, the best first.
    beside : optional files, read if they exist.
    """

    folder: str
    needs: tuple[tuple[Way, ...], ...]
    beside: tuple[str, ...] = ()


def _weights(safetensors: str, pickled: str) -> tuple[Way, ...]:
    """Weights with these stems, whole or in shards."""
    kinds = ((safetensors, "safetensors"), (pickled, "bin"))
    return tuple(
        way
        for stem, ending in kinds
        for way in (
            (f"{stem}.{ending}",),
            (f"{stem}.{ending}.index.json", f"{stem}-*-of-*.{ending}"),
        )
    )


_CONFIG: tuple[Way, ...] = (("config.json",),)
_VOCABULARY: tuple[Way, ...] = (
    ("tokenizer.json",),
    ("vocab.json", "merges.txt"),
    ("vocab.txt",),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
    ("tokenizer.model",),
)
_SETTINGS: tuple[Way, ...] = (("preprocessor_config.json",), ("processor_config.json",))


def _network(folder: str = "") -> Part:
    needs = (_CONFIG, _weights("model", "pytorch_model"))
    return Part(folder, needs, ("generation_config.json",))


def _diffusers(folder: str) -> Part:
    stem = "diffusion_pytorch_model"
    return Part(folder, (_CONFIG, _weights(stem, stem)))


def _tokenizer(folder: str = "") -> Part:
    """All kinds of vocabulary that exist are read: the tokenizer's class decides which it uses.

    `config.json` is optional: Stable Diffusion's tokenizer has none.
    """
    single = {name for way in _VOCABULARY for name in way}
    more = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"}
    return Part(folder, (_VOCABULARY,), tuple(sorted(single | more)))


_PROCESSOR = Part("", (_SETTINGS,), ("config.json", "processor_config.json"))

ROLES: dict[str, dict[str, Part]] = {
    "clip": {"model": _network(), "processor": _PROCESSOR, "tokenizer": _tokenizer()},
    "diffusion": {
        "unet": _diffusers("unet"),
        "vae": _diffusers("vae"),
        "scheduler": Part("scheduler", ((("scheduler_config.json",),),)),
        "text_encoder": _network("text_encoder"),
        "tokenizer": _tokenizer("tokenizer"),
    },
    "video": {
        "unet": _diffusers("unet"),
        "packing": Part("", (_CONFIG, (("packing.safetensors",),))),
    },
    "image_classifier": {"model": _network(), "processor": _PROCESSOR},
    "video_classifier": {"model": _network(), "processor": _PROCESSOR},
    "caption": {"model": _network(), "processor": _PROCESSOR, "tokenizer": _tokenizer()},
    "sentence": {"model": _network(), "tokenizer": _tokenizer()},
}


def parts_of(role: str, names: Iterable[str] = ()) -> list[Part]:
    """The named parts of a role's models; all parts without names."""
    known = ROLES[role]
    return [known[name] for name in names or known]


def select(parts: Iterable[Part], files: Iterable[str]) -> tuple[list[str], list[str]]:
    """(files that are read, one representative file for each need that is not met).

    Parameters
    ----------
    files : names of all files of the repository, relative, with forward slashes.
    """
    files = sorted(set(files))
    chosen: set[str] = set()
    missing: list[str] = []
    for part in parts:
        prefix = f"{part.folder}/" if part.folder else ""
        inside = [f.removeprefix(prefix) for f in files if f.startswith(prefix)]
        chosen |= {prefix + name for name in part.beside if name in inside}
        for need in part.needs:
            filled = next(filter(None, (_filled(way, inside) for way in need)), None)
            if filled is None:
                missing.append(prefix + " and ".join(need[0]))
            else:
                chosen |= {prefix + name for name in filled}
    return sorted(chosen), list(dict.fromkeys(missing))


def _filled(way: Way, files: list[str]) -> list[str]:
    """The files that meet a need in one way, or none if one of them is missing."""
    found: list[str] = []
    for pattern in way:
        matching = [name for name in files if fnmatchcase(name, pattern)]
        of = re.search(r"-of-(\d+)\.", matching[0]) if matching and "*" in pattern else None
        if not matching or (of and len(matching) != int(of[1])):
            return []
        found += matching
    return found

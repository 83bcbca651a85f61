"""Which GPUs this process may use, by their UUIDs.

Takes what `nvidia-smi -L` lists and CUDA_VISIBLE_DEVICES. Numbers differ between jobs: SLURM hides cards
and counts the rest from 0. A UUID is one physical card, or one MIG instance, in every job of a machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from boldreel.errors import UserError

_NONE = ("", "-1", "NoDevFiles")  # how users, CUDA and SLURM say "no GPU"


def visible() -> tuple[list[str], str]:
    """UUIDs of the GPUs that may be used, and the reason if there are none.

    Numbers in CUDA_VISIBLE_DEVICES are those of `nvidia-smi`. Raises UserError if it names a GPU that
    is not there.
    """
    there, reason = _listed()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not there or named is None:
        return [instance for card in there for instance in card[1:] or card], reason
    chosen: list[str] = []
    for word in map(str.strip, named.split(",")):
        if word in _NONE:
            break  # as CUDA does: what follows does not count
        found = _called(word, there)
        if not found:
            known = ", ".join(card[0] for card in there)
            raise UserError(
                f"CUDA_VISIBLE_DEVICES={named}: there is no GPU {word!r} here (nvidia-smi lists {known}); "
                "name one of these, or unset it"
            )
        chosen += [uuid for uuid in found if uuid not in chosen]
    return chosen, "" if chosen else f"CUDA_VISIBLE_DEVICES={named} names no GPU"


def _listed() -> tuple[list[list[str]], str]:
    """[UUID of a card, UUIDs of its MIG instances...] in nvidia-smi's order, or why there are none."""
    if shutil.which("nvidia-smi") is None:
        return [], "there is no nvidia-smi"
    try:
        answer = _ask("-L")
    except OSError as error:  # of another architecture, or no program at all
        return [], f"nvidia-smi cannot be called ({error.strerror})"
    cards: list[list[str]] = []
    for line in answer.stdout.splitlines() if answer.returncode == 0 else []:
        if card := re.match(r"GPU \d+: .*\(UUID: (GPU-[^)]+)\)", line):
            cards.append([card[1]])
        elif cards and (instance := re.match(r"\s+MIG .*\(UUID: (MIG-[^)]+)\)", line)):
            cards[-1].append(instance[1])
    said = (answer.stdout + answer.stderr).strip().splitlines() or ["nothing"]
    return cards, "" if cards else f"nvidia-smi says: {said[0]}"


def driver() -> str:
    """Version of the driver of NVIDIA's GPUs, or "unknown"."""
    try:
        answer = _ask("--query-gpu=driver_version", "--format=csv,noheader")
    except OSError:
        return "unknown"
    lines = answer.stdout.split()
    known = answer.returncode == 0 and lines and re.fullmatch(r"[\d.]+", lines[0])
    return lines[0] if known else "unknown"


def _ask(*options: str) -> subprocess.CompletedProcess[str]:
    words = ["nvidia-smi", *options]
    return subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)


def _called(word: str, there: list[list[str]]) -> list[str]:
    """The cards for a number, a UUID or the beginning of one; a card with MIG instances means these."""
    if word.isdecimal():
        card = there[int(word)] if int(word) < len(there) else []
        return card[1:] or card
    for card in there:
        if word.startswith("GPU-") and card[0].startswith(word):
            return card[1:] or card
        if word.startswith("MIG-") and word in card:
            return [word]
    return []

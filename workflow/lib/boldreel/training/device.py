"""Which device a step computes on: a GPU leased by file lock, or the CPU.

Snakemake sets no CUDA_VISIBLE_DEVICES on one machine, so two GPU jobs would both take the first card.
A lease locks one file per card, named by its UUID, until it is released or the process ends. One process
leases all the cards of a job. If each process of a training leased its own, two such jobs could wait for
each other for ever.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from boldreel.errors import UserError
from boldreel.training import gpus

if TYPE_CHECKING:
    import torch

# The same for every job of a machine, unlike TMPDIR, which schedulers set for each.
LOCKS = Path("/tmp")
POLL = 2.0  # seconds between looks at cards that are all leased
# The cards that a process or its launcher holds, for the processes that it starts.
_LEASED = "BOLDREEL_LEASED"


@contextmanager
def lease(folder: Path | None = None, poll: float = POLL) -> Iterator[torch.device]:
    """Yield the device to compute on; wait while every card is leased to another process.

    From then on the process sees only this card. Processes of `training.launch` each take one of the
    launcher's cards. If another launcher (torchrun) started several, the first process of each machine
    leases the cards of all its processes without waiting, since the cards of other machines would be blocked
    meanwhile.

    Raises UserError where PyTorch cannot use the leased card, or where CUDA_VISIBLE_DEVICES names one that
    is not there.
    """
    number = int(os.environ.get("LOCAL_RANK", "0"))
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    with ExitStack() as held:
        if _LEASED in os.environ:
            cards = os.environ[_LEASED].split(",")
        elif alone:
            cards = held.enter_context(hold(1, folder, poll))
        elif number == 0:
            cards = held.enter_context(hold(together, folder, wait=False))
        else:
            cards = _enough(together)
        if cards:
            mine = cards[number]
            rank = {"LOCAL_RANK": "0"} if "LOCAL_RANK" in os.environ else {}
            held.enter_context(_environment({"CUDA_VISIBLE_DEVICES": mine, _LEASED: mine, **rank}))
            yield _usable(mine)
        else:
            yield _unleased(number)


@contextmanager
def hold(
    count: int, folder: Path | None = None, poll: float = POLL, *, wait: bool = True
) -> Iterator[list[str]]:
    """Hold `count` GPUs, all or none, for this process and its children; yield their UUIDs.

    Yields an empty list if there is no GPU. Reports on standard error which process it waits for.

    folder : of lock files. poll : seconds between looks at the cards.
    wait : whether to wait for cards that others hold; if not, the first `count` are taken.

    Raises UserError if fewer GPUs can be seen, or those without waiting are held by others.
    """
    cards = _enough(count)
    if not cards:
        yield []
        return
    where = LOCKS if folder is None else folder
    with ExitStack() as locks:
        taken = (
            _take(cards, count, where, poll, locks) if wait else _now(cards[:count], where, locks)
        )
        names = ",".join(taken)
        with _environment({"CUDA_VISIBLE_DEVICES": names, _LEASED: names}):
            yield taken


def _enough(count: int) -> list[str]:
    """The visible cards: none, or at least `count`."""
    cards, _ = gpus.visible()
    if 0 < len(cards) < count:
        raise UserError(
            f"{count} processes train together, one per GPU, but only {len(cards)} GPUs are available "
            f"({', '.join(cards)}); set `processes` of the stage to {len(cards)} or less, or "
            "CUDA_VISIBLE_DEVICES= (empty) to train on the CPU"
        )
    return cards


def _take(cards: list[str], count: int, folder: Path, poll: float, locks: ExitStack) -> list[str]:
    """Lock `count` of the cards, first come, first served.

    A process first locks the queue of each usable card. Queues are locked in a fixed order, so there is no
    deadlock. Only the owner of the queues takes cards, one by one as they become free.
    """
    said, taken = "", []
    need = f"waiting for {count} of {len(cards)} GPUs"
    with ExitStack() as queues:
        for card in sorted(cards):
            path = folder / f"boldreel-{card}.queue"
            if not _lock(path, queues):
                _say(f"{need}, after {_holder(path)}")
                _lock(path, queues, wait=True)
        while True:
            for card in cards:
                if card not in taken and _lock(folder / f"boldreel-{card}.lock", locks):
                    taken.append(card)
                if len(taken) == count:
                    return taken
            others = [card for card in cards if card not in taken]
            news = f"{need}: {_leased(others, folder)}"
            if news != said:
                _say(news)
                said = news
            time.sleep(poll)


def _now(cards: list[str], folder: Path, locks: ExitStack) -> list[str]:
    for card in cards:
        if not _lock(folder / f"boldreel-{card}.lock", locks):
            raise UserError(
                f"{_leased([card], folder)}; processes started by torchrun do not wait for it: "
                "start them when it has ended, or set CUDA_VISIBLE_DEVICES to other GPUs"
            )
    return cards


def _lock(path: Path, locks: ExitStack, *, wait: bool = False) -> bool:
    """Lock a file until `locks` is left; whether that succeeded.

    Every user of the machine can lock it, since locking needs no write access. A signal handler that raises
    ends the wait.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o644)
    except FileExistsError:
        descriptor = os.open(path, os.O_RDONLY)
    with ExitStack() as opened:
        opened.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        locks.enter_context(opened.pop_all())
    return True


def _leased(cards: list[str], folder: Path) -> str:
    return ", ".join(
        f"{card} is leased to {_holder(folder / f'boldreel-{card}.lock')}" for card in cards
    )


def _holder(path: Path) -> str:
    """The process that has locked a file, if the system can tell (Linux, same container)."""
    try:
        inode = path.stat().st_ino
        locks = Path("/proc/locks").read_text(encoding="ascii")
        found = re.search(rf"^\d+: FLOCK .* (\d+) \S+:{inode} ", locks, flags=re.MULTILINE)
        if found is None or found[1] == "0":
            return "another process"
        words = Path(f"/proc/{found[1]}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return "another process"
    steps = [word for word in words if word.startswith("boldreel.")]
    return f"process {found[1]}" + (f" ({steps[-1]})" if steps else "")


def _usable(card: str) -> torch.device:
    """The leased card as PyTorch's only one; UserError if PyTorch cannot compute on it."""
    import torch

    try:
        torch.ones(1, device="cuda:0")
    except (RuntimeError, AssertionError) as error:
        told = str(error).strip().splitlines() or [type(error).__name__]
        wheel = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPUs alone"
        raise UserError(
            f"{card}: PyTorch {torch.__version__}, a wheel for {wheel}, cannot use this GPU with driver "
            f"{gpus.driver()} ({told[0].rstrip('.')}); install a wheel for this driver "
            "(https://pytorch.org/get-started), free the GPU, or set `device: cpu` in the configuration "
            "(by hand CUDA_VISIBLE_DEVICES= in front of the command) to compute on the CPU"
        ) from None
    _say(f"computing on {card}")
    return torch.device("cuda:0")


def _unleased(number: int) -> torch.device:
    """The CPU; or, if PyTorch sees GPUs that nvidia-smi does not list, the one with this number."""
    import torch

    _, reason = gpus.visible()
    if torch.cuda.is_available():
        _say(f"warning: {reason}: GPU {number} is not leased, and other jobs may take it as well")
        return torch.device(f"cuda:{number}")
    _say(f"computing on the CPU: {reason}")
    return torch.device("cpu")


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

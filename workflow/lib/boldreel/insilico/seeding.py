"""Random generators that are named, so that no job's numbers depend on the order of jobs.

Takes the seed and what the numbers are for; returns a generator. Two names give independent streams,
the same name gives the same stream on every machine.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *words: object) -> np.random.Generator:
    """A generator for one purpose, for example ``generator(seed, "noise", "01", "train01", 2)``."""
    text = "\x1f".join([str(int(seed)), *map(str, words)])
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.default_rng(np.random.SeedSequence(int.from_bytes(digest, "big")))

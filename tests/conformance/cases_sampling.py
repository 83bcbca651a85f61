"""Reference arrays of guided sampling, d1: states and timesteps of PNDM and DDIM."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import diffusers
import numpy as np
import torch
from cases_generator import small_network
from comparison import Arrays, Comparison

from boldreel.generator.sampling import denoise

# What float32 changes in a guided prediction of scale 1, over the calls of a run; and the most that a changed
# method could hide behind.
_OF_PREDICTION, _LEAST, _MOST = 1e-5, 1e-4, 5e-4
KEY = re.compile(
    r"(?P<kind>pndm|ddim)(?:_s(?P<steps>\d+))?(?:_g(?P<guidance>[\d.]+))?_(?:latents_)?"
    r"(?P<what>latents|timesteps|step(?P<step>\d+))"
)
Run = tuple[str, int, float]


def tolerance(guidance: float) -> float:
    """What rounding may change: the reference was made in float32, and e(c0) + s (e(c) - e(c0)) holds a
    prediction's rounding 2 s + 1 times."""
    return min(max(_LEAST, _OF_PREDICTION * (2 * guidance + 1)), _MOST)


def _scheduler(kind: str, config: dict[str, Any], clip_sample: bool = False) -> Any:
    if kind == "pndm":
        return diffusers.PNDMScheduler.from_config(config)
    return diffusers.DDIMScheduler.from_config(config, clip_sample=clip_sample)


def _wanted(arrays: Arrays) -> dict[Run, list[tuple[str, str, int]]]:
    """For each run its arrays: (key, what, number of the call). A key that leaves out the steps or
    the guidance means those of the first run that names them."""
    found = [(key, match) for key in arrays if (match := KEY.fullmatch(key))]
    steps = next(match["steps"] for _, match in found if match["steps"])
    guidance = next(match["guidance"] for _, match in found if match["guidance"])
    runs: dict[Run, list[tuple[str, str, int]]] = {}
    for key, match in found:
        run = match["kind"], int(match["steps"] or steps), float(match["guidance"] or guidance)
        runs.setdefault(run, []).append((key, match["what"], int(match["step"] or -1)))
    return runs


def sampling(arrays: Arrays, configs: dict[str, Any]) -> Iterator[Comparison]:
    """d1: from the same noise by the library's own loop.

    Where configs.json does not say whether DDIM clips clean samples to -1..1 (Stable Diffusion does
    not, the scheduler's default does), the state after the first call tells which it was.

    In float64: guidance and the division by a small signal share amplify the rounding of float32 until,
    with latents near 90, it alone passes the tolerance. The arrays hold such rounding once already.
    """
    network = small_network(arrays, configs).double()
    noise, cond, uncond = (
        torch.from_numpy(arrays[key]).double() for key in ("latents0", "cond", "uncond")
    )
    noise = noise.transpose(1, 2)
    for (kind, steps, guidance), keys in _wanted(arrays).items():
        choices = (
            [configs["d1"]["clip_sample"]] if "clip_sample" in configs["d1"] else [False, True]
        )
        states: list[np.ndarray] = []
        for clip_sample in choices if kind == "ddim" else choices[:1]:
            scheduler = _scheduler(kind, configs["d1"], clip_sample)
            calls = denoise(network, scheduler, noise, cond, uncond, steps=steps, guidance=guidance)
            made = [state.transpose(1, 2).numpy() for state in calls]
            first = min(keys, key=lambda entry: entry[2] % len(made))
            if not states or _distance(made, first, arrays) < _distance(states, first, arrays):
                states = made
        for key, what, call in keys:
            own = scheduler.timesteps if what == "timesteps" else states[call]
            yield arrays.line(key, own, 0 if what == "timesteps" else tolerance(guidance))


def _distance(states: list[np.ndarray], entry: tuple[str, str, int], arrays: Arrays) -> float:
    key, what, call = entry
    return 0.0 if what == "timesteps" else float(np.abs(states[call] - arrays[key]).max())


CASES = {"d1_": sampling}

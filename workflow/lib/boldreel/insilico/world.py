"""The small compositional world that the embedded data set shows its subjects.

Takes a random generator; returns scenes with exact captions and the frames of their shots. A scene is
an object (class, colour, size) that travels at constant velocity in one of four directions over a
photographic texture. Captions and scenes are each other's inverse. The pairs in HELD_OUT occur only
in test movies: neither training movies nor the corpus of the base models show them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from boldreel.insilico.sprites import SHAPES, coverage
from boldreel.insilico.textures import TEXTURES, texture

CLASSES: tuple[str, ...] = tuple(SHAPES)
COLOURS: tuple[str, ...] = ("red", "yellow", "green", "blue", "pink", "white")
BACKGROUNDS: tuple[str, ...] = tuple(TEXTURES)
MOTIONS: tuple[str, ...] = ("left", "right", "up", "down")
SIZES: tuple[str, ...] = ("small", "large")

# One colour per class, each colour once.
HELD_OUT: frozenset[tuple[str, str]] = frozenset(
    (name, COLOURS[(2 * i + i // 3) % len(COLOURS)]) for i, name in enumerate(CLASSES)
)

RGB: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.10, 0.10),
    "yellow": (0.98, 0.86, 0.10),
    "green": (0.20, 0.85, 0.20),
    "blue": (0.14, 0.32, 0.98),
    "pink": (0.98, 0.35, 0.80),
    "white": (0.97, 0.97, 0.97),
}
# Width of an object, as a share of the frame's side: 19-21 and 27-30 pixels of 64.
WIDTH: dict[str, tuple[float, float]] = {
    "small": (19 / 64, 21 / 64),
    "large": (27 / 64, 30 / 64),
}
DIRECTION: dict[str, tuple[int, int]] = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
}
# Shares of the frame's side per second: 8 pixels of 64 in a clip of 2 s, 32 in a shot of 8 s.
SPEED = 4 / 64
FRAME_SIZE = 64
Silhouette = Callable[[str, tuple[float, float], float, float], tuple[int, int, np.ndarray]]


@dataclass(frozen=True)
class Scene:
    """What a shot shows. The five labels are all that captions, judges and scores ever name."""

    object: str
    colour: str
    background: str
    motion: str
    size: str

    def __post_init__(self) -> None:
        for value, allowed in (
            (self.object, CLASSES),
            (self.colour, COLOURS),
            (self.background, BACKGROUNDS),
            (self.motion, MOTIONS),
            (self.size, SIZES),
        ):
            if value not in allowed:
                raise ValueError(f"no such label {value!r}: expected one of {', '.join(allowed)}")

    @property
    def caption(self) -> str:
        """For example ``a small red ball moving left over grass``."""
        return (
            f"a {self.size} {self.colour} {self.object} moving {self.motion} over {self.background}"
        )

    @classmethod
    def from_caption(cls, caption: str) -> Scene:
        """The scene that a caption describes; ValueError if it is not a caption of this world."""
        match caption.split():
            case ["a", size, colour, name, "moving", motion, "over", background]:
                return cls(name, colour, background, motion, size)
        raise ValueError(
            f"not a caption of this world: {caption!r} "
            "(expected 'a SIZE COLOUR OBJECT moving DIRECTION over BACKGROUND')"
        )

    @property
    def held_out(self) -> bool:
        """Whether the pair of object and colour occurs in test movies only."""
        return (self.object, self.colour) in HELD_OUT


def sample_scene(rng: np.random.Generator, held_out: bool = False) -> Scene:
    """Draw a scene, all labels uniform.

    Parameters
    ----------
    held_out : True draws one of the HELD_OUT pairs of object and colour, False never does.
    """
    pairs = [pair for pair in itertools.product(CLASSES, COLOURS) if (pair in HELD_OUT) == held_out]
    name, colour = pairs[rng.integers(len(pairs))]
    return Scene(
        object=name,
        colour=colour,
        background=BACKGROUNDS[rng.integers(len(BACKGROUNDS))],
        motion=MOTIONS[rng.integers(len(MOTIONS))],
        size=SIZES[rng.integers(len(SIZES))],
    )


def _path(
    scene: Scene, times: np.ndarray, half: float, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Centres (n_frames, 2) in pixels of a straight path that keeps the object inside the frame."""
    travel = np.array(DIRECTION[scene.motion]) * SPEED * size
    shift = times[:, None] * travel
    low = half - np.minimum(shift[-1], 0)
    high = size - half - np.maximum(shift[-1], 0)
    if (low > high).any():
        raise ValueError(
            f"a shot of {times[-1]:.1f} s is too long: a {scene.size} {scene.object} would leave the "
            f"frame (expected at most {(size - 2 * half) / (SPEED * size):.1f} s)"
        )
    return rng.uniform(low, high) + shift


def _drift(times: np.ndarray, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """A slow sine (n_frames,) of random phase and a period of 6 to 14 s."""
    return amplitude * np.sin(2 * np.pi * (times / rng.uniform(6, 14) + rng.uniform()))


def render_shot(
    scene: Scene, n_frames: int, fps: float, rng: np.random.Generator, size: int = FRAME_SIZE
) -> np.ndarray:
    """Frames of one shot, uint8 (n_frames, size, size, 3), RGB: see ``render_masked_shot``."""
    return render_masked_shot(scene, n_frames, fps, rng, size)[0]


def render_masked_shot(
    scene: Scene,
    n_frames: int,
    fps: float,
    rng: np.random.Generator,
    size: int = FRAME_SIZE,
    silhouette: Silhouette = coverage,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one shot.

    The crop of the background, where the path starts, the object's exact size, tilt and shade, and
    slow drifts of the background's brightness and contrast are random: variance that no label names.

    Parameters
    ----------
    n_frames, fps : length in frames and frames per second; at most 8 s together.
    size : side of the square frame in pixels, at most 128.
    silhouette : what is drawn for (class, centre, half width, tilt): see ``sprites.coverage``.

    Returns
    -------
    (frames, masks): uint8 (n_frames, size, size, 3), RGB, and uint8 (n_frames, size, size), how much
    of the pixel the object covers, 255 being all of it.
    """
    times = np.arange(n_frames) / fps
    half = rng.uniform(*WIDTH[scene.size]) * size / 2
    path = _path(scene, times, half, size, rng)
    tilt = rng.uniform(-0.1, 0.1)
    shade = rng.uniform(0.92, 1.0) * rng.uniform(0.96, 1.04, 3)
    ink = np.clip(np.array(RGB[scene.colour]) * shade, 0, 1).astype(np.float32)

    whole = texture(scene.background)
    top = rng.integers(whole.shape[0] - size + 1)
    left = rng.integers(whole.shape[1] - size + 1)
    crop = whole[top : top + size, left : left + size]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    mean = crop.mean(axis=(0, 1))
    contrast = 1 + rng.uniform(-0.1, 0.1) + _drift(times, 0.12, rng)
    brightness = 1 + rng.uniform(-0.06, 0.06) + _drift(times, 0.08, rng)
    frames = (crop - mean) * contrast.astype(np.float32)[:, None, None, None] + mean
    frames *= brightness.astype(np.float32)[:, None, None, None]

    masks = np.zeros(frames.shape[:3], dtype=np.uint8)
    for frame, mask, centre in zip(frames, masks, path, strict=True):
        x, y, alpha = silhouette(scene.object, (centre[0], centre[1]), half, tilt)
        into = np.s_[max(y, 0) : y + alpha.shape[0], max(x, 0) : x + alpha.shape[1]]
        patch = frame[into]
        cover = alpha[max(-y, 0) :, max(-x, 0) :][: patch.shape[0], : patch.shape[1], None]
        patch += cover * (ink - patch)
        mask[into] = cover[..., 0] * 255
    return np.clip(frames * 255 + 0.5, 0, 255).astype(np.uint8), masks

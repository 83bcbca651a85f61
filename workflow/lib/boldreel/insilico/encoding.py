"""What every place of a subject's visual cortex responds to.

Takes the table of area centres, the grey-matter map, a seed and a subject; returns encoding weights
on a 4 mm grid in MNI space, the explainable variance of every place, and the sd of its noise.
Weights are smooth over cortex, half shared by all subjects and half a subject's own; early areas see
the opposite half of the visual field on a map, late ones see objects and attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from boldreel.errors import UserError
from boldreel.insilico import areas, features, template
from boldreel.insilico.features import BLOCKS, GRID
from boldreel.insilico.seeding import generator

# The posterior box that runs cover (MNI mm, voxel centres), and room around it for noise.
BOX = np.array([[-72.0, 72.0], [-108.0, -36.0], [-32.0, 44.0]])
MARGIN = 12.0
GREY = 0.3
# Smoothness of weights and noise over cortex (mm). The two are equal, so that interpolation by the
# preprocessing takes as much from the signal as from the noise.
FWHM = 5.0
SHARED = 0.5  # share of the weights' variance that all subjects have in common
EV_SPREAD = 0.5  # sd of the logarithm of explainable variance between voxels
NOISE_SD = (1.75, 0.1)  # percent of baseline: mean and sd between voxels
NUISANCE = 0.25  # share of the stimulus-driven variance that no label names

# Share of stimulus-driven variance by block of features; completed by NUISANCE.
_EARLY = {"contrast": 0.2, "luminance": 0.1, "opponent": 0.3, "orientation": 0.15}
SHARES: dict[str, dict[str, float]] = {
    "early": _EARLY,
    "V4": {"colour": 0.55, "object": 0.2},
    "LO": {"object": 0.45, "object_background": 0.05, "colour": 0.25},
    "ventral": {"object": 0.25, "background": 0.3, "colour": 0.2},
    "motion": {"motion": 0.5, "size": 0.15, "flicker": 0.1},
    "dorsal": {"position": 0.35, "motion": 0.25, "flicker": 0.15},
}
# Receptive field size (sd, in half widths of the frame) by area; others see most of it.
FIELD_SIZE = {"V1": 0.2, "V2": 0.26, "V3": 0.32}
FIELD_SIZE_LATE = 0.6


@dataclass(frozen=True)
class Encoding:
    """Encoding model of one subject on the grid that is fixed to his brain.

    Attributes
    ----------
    affine : (4, 4) from grid index to MNI mm; shape : of the grid.
    index : (n, 3) grid index of the places that may respond; mni : (n, 3) in mm.
    area, group, hemisphere : (n,) names, those of the nearest centre.
    grey : (n,) bool, grey matter within the radius of its centre; the others are one voxel from such
        a place and carry the spread of the vascular response.
    ev : (n,) single-trial explainable variance; 0 in control areas.
    weights : float32 (n, n_features); shares : float32 (n, n_blocks), each block's part of the
        stimulus-driven variance.
    noise_sd : float32, of the grid's shape, percent of baseline.
    """

    affine: np.ndarray
    shape: tuple[int, int, int]
    index: np.ndarray
    mni: np.ndarray
    area: np.ndarray
    group: np.ndarray
    hemisphere: np.ndarray
    grey: np.ndarray
    ev: np.ndarray
    weights: np.ndarray
    shares: np.ndarray
    noise_sd: np.ndarray

    def save(self, path: Path) -> None:
        """Write all of it to an .npz (uncompressed: it is read by every run)."""
        from boldreel.data import atomic

        with atomic.file(path) as aside, open(aside, "wb") as target:
            np.savez(target, allow_pickle=False, **self.__dict__)

    @classmethod
    def load(cls, path: Path) -> Encoding:
        """Read what `save` wrote."""
        if not path.is_file():
            raise UserError(f"{path}: no encoding model; run boldreel.insilico.anatomy first")
        with np.load(path, allow_pickle=False) as stored:
            values = {name: stored[name] for name in cls.__dataclass_fields__}
        values["shape"] = tuple(int(n) for n in values["shape"])
        return cls(**values)


def grid(voxel_size: float) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Affine and shape of the grid: the box's own voxels and a margin around it."""
    steps = int(np.ceil(MARGIN / voxel_size))
    affine = np.diag([voxel_size, voxel_size, voxel_size, 1.0])
    affine[:3, 3] = BOX[:, 0] - steps * voxel_size
    inner = np.floor((BOX[:, 1] - BOX[:, 0]) / voxel_size + 1e-6).astype(int) + 1
    x, y, z = (int(n) + 2 * steps for n in inner)
    return affine, (x, y, z)


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, ...], n: int, voxel_size: float
) -> np.ndarray:
    """n independent fields (n, *shape), mean 0 and sd 1 over their distribution, smooth by FWHM."""
    sigma = FWHM / 2.355 / voxel_size
    fields = rng.standard_normal((n, *shape), dtype=np.float32)
    for axis in (1, 2, 3):
        fields = ndimage.gaussian_filter1d(fields, sigma, axis, mode="wrap", truncate=5)
    point = np.zeros(65)
    point[32] = 1
    kernel = ndimage.gaussian_filter1d(point, sigma, truncate=5)
    return fields / np.float32(np.sqrt((kernel**2).sum()) ** 3)


def _profile(area: str, group: str) -> dict[str, float]:
    """Shares of variance of an area; empty for one that does not respond."""
    for key in (area, group):
        if key in SHARES:
            return {**SHARES[key], f"nuisance_{group}": NUISANCE}
    return {}


def receptive_fields(mni: np.ndarray, areas: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """How much of every cell of the visual field's grid a place sees.

    The left half of the brain sees the right half of the field; what lies above the calcarine
    sulcus (z about 4 mm) sees the lower half; what lies further back sees the centre.

    Parameters
    ----------
    mni : (n, 3) mm; areas : (n,) names; jitter : (n, 2), a subject's own shift of the map.

    Returns
    -------
    float32 (n, GRID * GRID), rows sum to 1; cells row by row from the upper left.
    """
    eccentricity = np.clip((mni[:, 1] + 104) / 40, 0, 1)
    x = -np.sign(mni[:, 0]) * (0.1 + 0.7 * eccentricity) + 0.1 * jitter[:, 0]
    y = np.clip((mni[:, 2] - 4) / 16, -0.9, 0.9) + 0.1 * jitter[:, 1]
    size = np.array([FIELD_SIZE.get(area[:2], FIELD_SIZE_LATE) for area in areas])
    cells = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    along_x = np.exp(-((cells - x[:, None]) ** 2) / (2 * size[:, None] ** 2))
    along_y = np.exp(-((cells - y[:, None]) ** 2) / (2 * size[:, None] ** 2))
    seen = (along_y[:, :, None] * along_x[:, None, :]).reshape(len(mni), -1)
    return (seen / seen.sum(1, keepdims=True)).astype(np.float32)


def _weights(
    index: np.ndarray,
    fields_of_view: np.ndarray,
    shape: tuple[int, int, int],
    voxel_size: float,
    shared: np.random.Generator,
    own: np.random.Generator,
) -> np.ndarray:
    """Weights (n, n_features): per block, smooth tuning times receptive field where it has a map."""
    parts = []
    for name, block in BLOCKS.items():
        n = block.channels
        mixed = np.sqrt(SHARED) * smooth_field(shared, shape, n, voxel_size)
        mixed = mixed + np.sqrt(1 - SHARED) * smooth_field(own, shape, n, voxel_size)
        tuning = mixed.reshape(n, -1)[:, np.ravel_multi_index(tuple(index.T), shape)].T
        if name in ("contrast", "flicker"):
            # More contrast, more response, everywhere, though not to the same degree.
            tuning = 1 + 0.4 * tuning
        if block.mapped:
            parts.append((tuning[:, :, None] * fields_of_view[:, None, :]).reshape(len(index), -1))
        else:
            parts.append(tuning)
    return np.concatenate(parts, axis=1).astype(np.float32)


def build(
    seed: int, subject: str, explainable_variance: float, voxel_size: float = 4.0
) -> Encoding:
    """The encoding model of a subject; median EV over its visual places as asked."""
    affine, shape = grid(voxel_size)
    points = template.move(affine, np.indices(shape).astype(float))
    grey_map = template.load("grey")
    width = max(1, round(voxel_size))
    blurred = ndimage.uniform_filter(grey_map.values, width)
    grey_map = template.Volume(blurred, grey_map.affine)
    # An even filter is centred half a voxel low.
    grey_share = grey_map.sample(points + (0.5 if width % 2 == 0 else 0.0))

    centres = areas.read_centres()
    distance = np.linalg.norm(points[:, None] - centres["centre"].T[:, :, None, None, None], axis=0)
    nearest = distance.argmin(0)
    within = (distance.min(0) <= centres["radius"][nearest]) & (grey_share > GREY)
    control = centres["group"][nearest] == "control"
    spread = ndimage.binary_dilation(within & ~control, np.ones((3, 3, 3)))
    places = within | (spread & ~(within & control))
    # A place next to a visual area follows that area even if a control centre is nearest.
    visual = centres["group"] != "control"
    closest_visual = np.flatnonzero(visual)[distance[visual].argmin(0)]
    nearest = np.where(within, nearest, closest_visual)

    index = np.argwhere(places)
    at = tuple(index.T)
    centre = nearest[at]
    flat = np.ravel_multi_index(at, shape)
    mni = points.reshape(3, -1)[:, flat].T
    area, group = centres["area"][centre], centres["group"][centre]
    own = generator(seed, "encoding", subject)
    jitter = smooth_field(own, shape, 2, voxel_size).reshape(2, -1)[:, flat].T
    profiles = [_profile(a, g) for a, g in zip(area, group, strict=True)]
    shares = np.array([[p.get(name, 0.0) for name in BLOCKS] for p in profiles], dtype=np.float32)
    weights = _weights(
        index,
        receptive_fields(mni, area, jitter),
        shape,
        voxel_size,
        generator(seed, "encoding", "shared"),
        own,
    )
    weights *= (shares > 0)[:, features.block_of_feature()]
    grey, responds = within[at], shares.sum(1) > 0
    spread_of_ev = smooth_field(generator(seed, "ev", subject), shape, 1, voxel_size)[0][at]
    ev = np.where(responds, np.exp(EV_SPREAD * spread_of_ev), 0.0)
    ev = np.minimum(ev * (explainable_variance / np.median(ev[grey & responds])), 0.8)
    noise = smooth_field(generator(seed, "noise sd", subject), shape, 1, voxel_size)[0]
    mean, sd = NOISE_SD
    return Encoding(
        affine=affine,
        shape=shape,
        index=index,
        mni=mni,
        area=area,
        group=group,
        hemisphere=centres["hemisphere"][centre],
        grey=grey,
        ev=ev,
        weights=weights,
        shares=shares,
        noise_sd=np.clip(mean + sd * noise, 1.5, 2.0).astype(np.float32),
    )


def effective_weights(model: Encoding, covariance: np.ndarray) -> np.ndarray:
    """Weights that turn convolved features into percent signal change.

    Every block gets its share of the stimulus-driven variance, and the whole the variance that makes
    signal / (signal + noise) the place's EV.

    Parameters
    ----------
    covariance : (n_features, n_features) of the convolved features, over the movies.

    Returns
    -------
    float32 (n, n_features); exactly 0 where EV is 0.
    """
    blocks = features.block_of_feature()
    scaled = np.zeros_like(model.weights)
    for k in range(len(BLOCKS)):
        columns = np.flatnonzero(blocks == k)
        rows = np.flatnonzero(model.shares[:, k] > 0)
        if not len(rows):
            continue
        w = model.weights[np.ix_(rows, columns)]
        variance = np.einsum("nf,nf->n", w @ covariance[np.ix_(columns, columns)], w)
        gain = np.sqrt(model.shares[rows, k] / np.maximum(variance, 1e-12))
        scaled[np.ix_(rows, columns)] = w * np.where(variance > 1e-9, gain, 0)[:, None]
    variance = np.einsum("nf,nf->n", scaled @ covariance, scaled)
    noise = model.noise_sd[tuple(model.index.T)]
    wanted = noise**2 * model.ev / (1 - model.ev)
    gain = np.sqrt(wanted / np.maximum(variance, 1e-12))
    return (scaled * gain[:, None]).astype(np.float32)


def noise_ceiling(ev: np.ndarray, repeats: int) -> np.ndarray:
    """Largest correlation of any prediction with the mean of `repeats` trials: sqrt of its EV."""
    return np.sqrt(repeats * ev / (1 + (repeats - 1) * ev))


def summary(model: Encoding) -> Mapping[str, float]:
    """Medians over visual grey matter: EV and the ceilings of one, two and ten repeats."""
    ev = model.ev[model.grey & (model.shares.sum(1) > 0)]
    medians = {f"noise_ceiling_{n}": float(np.median(noise_ceiling(ev, n))) for n in (1, 2, 10)}
    return {"places": len(ev), "explainable_variance": float(np.median(ev)), **medians}

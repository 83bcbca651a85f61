"""Frozen features of clips: the one reader of the folders that `stimuli.features` writes.

Reads clips.parquet and `{batch}/features`, one folder per movie or batch of movies; returns arrays in the
order of the clips asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import arrays, batches, tables
from boldreel.data.attributes import parse
from boldreel.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_KINDS = {
    "image": "image_features",
    "text": "text_features",
    "condition": "condition",
    "motion": "motion",
    "image_variants": "variants",
    "text_variants": "variants",
}


@dataclass(frozen=True)
class ClipFeatures:
    """One row per clip.

    image, text : float32 (n, D), unit norm; an image embedding is the mean over the clip's frames
    condition : float32 (n, tokens, width), hidden states of the diffusion model's text encoder
    motion : float32 (n, M), motion code (`models.motion`)
    clips, captions, shots : n names; attributes : n dictionaries, empty if a clip has no labels
    image_variants, text_variants : float32 (n, K, D), unit norm: other pictures and sentences of the clip;
        None unless every clip has them
    """

    image: np.ndarray
    text: np.ndarray
    condition: np.ndarray
    motion: np.ndarray
    clips: list[str]
    captions: list[str]
    shots: list[str]
    attributes: list[dict[str, str]]
    image_variants: np.ndarray | None = None
    text_variants: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> ClipFeatures:
        """The clips at these row numbers."""
        return ClipFeatures(
            image=self.image[rows],
            text=self.text[rows],
            condition=self.condition[rows],
            motion=self.motion[rows],
            clips=[self.clips[row] for row in rows],
            captions=[self.captions[row] for row in rows],
            shots=[self.shots[row] for row in rows],
            attributes=[self.attributes[row] for row in rows],
            image_variants=None if self.image_variants is None else self.image_variants[rows],
            text_variants=None if self.text_variants is None else self.text_variants[rows],
        )

    def positives(self) -> np.ndarray:
        """Group number (n,) of each clip: clips of one shot or of one caption share a group."""
        return merged_groups(self.shots, self.captions)


def join(parts: list[ClipFeatures]) -> ClipFeatures:
    """The clips of all parts, one after the other; variants only where every part has them."""

    def rows(name: str) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        return None if any(value is None for value in values) else np.concatenate(values)

    def names(name: str) -> list:
        return [entry for part in parts for entry in getattr(part, name)]

    return ClipFeatures(
        image=np.concatenate([part.image for part in parts]),
        text=np.concatenate([part.text for part in parts]),
        condition=np.concatenate([part.condition for part in parts]),
        motion=np.concatenate([part.motion for part in parts]),
        clips=names("clips"),
        captions=names("captions"),
        shots=names("shots"),
        attributes=names("attributes"),
        image_variants=rows("image_variants"),
        text_variants=rows("text_variants"),
    )


def merged_groups(*labels: list[str]) -> np.ndarray:
    """Number the groups that arise when items that share any label belong together, (n,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(labels[0])
    codes, total = [], n
    for label in labels:
        values, code = np.unique(np.asarray(label), return_inverse=True)
        codes.append(code + total)
        total += len(values)
    rows = np.tile(np.arange(n), len(codes))
    graph = coo_array((np.ones(len(rows)), (rows, np.concatenate(codes))), (total, total))
    _, component = connected_components(graph, directed=False)
    return np.unique(component[:n], return_inverse=True)[1]


class FeatureFolders:
    """Folders of features, `.../{batch}/features`; each array is opened once for all its movies.

    Parameters
    ----------
    folders : one per batch; a batch may be one movie.
    """

    def __init__(self, folders: Iterable[Path | str]) -> None:
        self.folders = {Path(folder).resolve().parent.name: Path(folder) for folder in folders}
        self._opened: dict[Path, tuple[np.ndarray, dict[str, Any]]] = {}

    def of_movie(self, rows: pd.DataFrame, *names: str) -> dict[str, np.ndarray]:
        """Memory-mapped arrays of one movie by name.

        image (frames, D), text (clips, D), condition (clips, tokens, width), motion (clips, M),
        sketch (clips, 4, 8, 8), variants (clips, K, D).

        Parameters
        ----------
        rows : the movie's rows of the clips table, in the order of `index`.
        names : arrays to open; `image_variants` and `text_variants` are left out where the movie has none.

        Raises
        ------
        UserError : no folder, an array is missing, or it does not fit the clips table.
        """
        movie, batch = str(rows["movie"].iloc[0]), str(batches.of_clips(rows).iloc[0])
        if batch not in self.folders:
            raise UserError(
                f"--features: no folder for movie {movie}; give {batch}/features as well"
            )
        found = {}
        for name in names:
            path = self.folders[batch] / f"{name}.npy"
            if path not in self._opened:
                if name.endswith("_variants") and not path.exists():
                    continue
                self._opened[path] = arrays.load(path, kind=_KINDS.get(name, name))
            values, meta = self._opened[path]
            if batch != movie:
                values = values[batches.part(meta, movie, len(values), path)]
            found[name] = values
            if name == "image":
                fits = int((rows["first_frame"] + rows["n_frames"]).max()) <= len(values)
                fits = fits and bool((rows["n_frames"] > 0).all())
            else:
                fits = len(values) == len(rows)
            if not fits:
                raise UserError(
                    f"{path}: {len(values)} rows do not fit the {len(rows)} clips of "
                    f"{movie}; compute the movie's features again"
                )
        return found


def mean_image(frames: np.ndarray, first: int, count: int) -> np.ndarray:
    """Image embedding (D,) of a clip, float32 of unit norm: the mean over its frames."""
    mean = np.asarray(frames[first : first + count]).mean(0)
    return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)


def load_features(clips: Path, folders: Iterable[Path], wanted: list[str]) -> ClipFeatures:
    """Read the features of the clips in `wanted`, in that order.

    folders : `.../{batch}/features`, one per movie or batch of movies.

    Raises UserError if a clip is unknown, a movie has no folder, or rows do not match the clips.
    """
    table = tables.read(clips, "clips")
    unknown = sorted(set(wanted) - set(table["clip"]))
    if unknown:
        raise UserError(f"{clips}: no clip {unknown[0]!r}, which the windows name; cut clips again")
    opened = FeatureFolders(folders)
    table = table[table["movie"].isin(table.set_index("clip").loc[wanted, "movie"].unique())]
    by_name: dict[str, dict[str, np.ndarray]] = {name: {} for name in _KINDS}
    for _, rows in table.sort_values("index").groupby("movie", sort=False):
        found = opened.of_movie(rows, *_KINDS)
        frames = found.pop("image")
        for name, values in found.items():
            by_name[name].update(zip(rows["clip"], values, strict=True))
        for row in rows.itertuples():
            by_name["image"][row.clip] = mean_image(frames, row.first_frame, row.n_frames)
    labels = table.set_index("clip").loc[wanted]
    return ClipFeatures(
        clips=list(wanted),
        captions=list(labels["caption"]),
        shots=list(labels["shot"]),
        attributes=parse(labels["attributes"]),
        **{
            name: np.stack([of_clip[clip] for clip in wanted])
            for name, of_clip in by_name.items()
            if wanted and all(clip in of_clip for clip in wanted)
        },
    )


def load_sketches(clips: Path, folders: Iterable[Path], wanted: list[str]) -> np.ndarray:
    """Sketches float32 (n, 4, 8, 8) of the clips in `wanted`, in that order; see `load_features`."""
    table = tables.read(clips, "clips")
    opened = FeatureFolders(folders)
    table = table[table["movie"].isin(table.set_index("clip").loc[wanted, "movie"].unique())]
    found: dict[str, np.ndarray] = {}
    for _, rows in table.sort_values("index").groupby("movie", sort=False):
        found.update(zip(rows["clip"], opened.of_movie(rows, "sketch")["sketch"], strict=True))
    return np.stack([found[clip] for clip in wanted])

"""What the alignment predicts: frozen features and labels of clips.

Takes clips.parquet and the features folders of movies; returns arrays in the order of the clips
asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.data import arrays, tables
from boldreel.errors import UserError


@dataclass(frozen=True)
class ClipFeatures:
    """One row per clip.

    image, text : float32 (n, D), unit norm; an image embedding is the mean over the clip's frames
    condition : float32 (n, tokens, width), hidden states of the diffusion model's text encoder
    clips, captions, shots : n names; attributes : n dictionaries, empty if a clip has no labels
    image_variants, text_variants : float32 (n, K, D), unit norm: other pictures and sentences of the clip;
        None unless every clip has them
    """

    image: np.ndarray
    text: np.ndarray
    condition: np.ndarray
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


def load_features(clips: Path, folders: Iterable[Path], wanted: list[str]) -> ClipFeatures:
    """Read the features of the clips in `wanted`, in that order.

    folders : `.../{movie}/features`, one per movie, each with image.npy, text.npy, condition.npy, and of a
        training movie image_variants.npy and text_variants.npy

    Raises UserError if a clip is unknown, a movie has no folder, or rows do not match the clips.
    """
    table = tables.read(clips, "clips")
    unknown = sorted(set(wanted) - set(table["clip"]))
    if unknown:
        raise UserError(f"{clips}: no clip {unknown[0]!r}, which the windows name; cut clips again")
    folder_of = {folder.parent.name: folder for folder in map(Path, folders)}
    table = table[table["movie"].isin(table.set_index("clip").loc[wanted, "movie"].unique())]
    image: dict[str, np.ndarray] = {}
    text: dict[str, np.ndarray] = {}
    condition: dict[str, np.ndarray] = {}
    others: dict[str, dict[str, np.ndarray]] = {"image": {}, "text": {}}
    for movie, rows in table.sort_values("index").groupby("movie", sort=False):
        if movie not in folder_of:
            raise UserError(
                f"--features: no folder for movie {movie}; give {movie}/features as well"
            )
        folder = folder_of[str(movie)]
        frames, _ = arrays.load(folder / "image.npy", kind="image_features")
        texts, _ = arrays.load(folder / "text.npy", kind="text_features")
        states, _ = arrays.load(folder / "condition.npy", kind="condition")
        if len(texts) != len(rows) or len(states) != len(rows):
            raise UserError(
                f"{folder}: text and condition have {len(texts)} and {len(states)} rows, movie "
                f"{movie} has {len(rows)} clips; compute its features again"
            )
        for name, of_clip in others.items():
            if (folder / f"{name}_variants.npy").exists():
                values, _ = arrays.load(folder / f"{name}_variants.npy", kind="variants")
                of_clip.update(zip(rows["clip"], values, strict=True))
        for k, row in enumerate(rows.itertuples()):
            shown = np.asarray(frames[row.first_frame : row.first_frame + row.n_frames])
            if len(shown) != row.n_frames or not row.n_frames:
                raise UserError(
                    f"{folder}/image.npy: {len(frames)} frames, clip {row.clip} needs "
                    f"{row.first_frame} to {row.first_frame + row.n_frames - 1}; decode the movie again"
                )
            mean = shown.mean(0)
            image[row.clip] = mean / max(float(np.linalg.norm(mean)), 1e-12)
            text[row.clip], condition[row.clip] = texts[k], states[k]
    labels = table.set_index("clip").loc[wanted]
    return ClipFeatures(
        image=np.stack([image[clip] for clip in wanted]).astype(np.float32),
        text=np.stack([text[clip] for clip in wanted]),
        condition=np.stack([condition[clip] for clip in wanted]),
        clips=list(wanted),
        captions=list(labels["caption"]),
        shots=list(labels["shot"]),
        attributes=[json.loads(value) for value in labels["attributes"]],
        **{
            f"{name}_variants": np.stack([of_clip[clip] for clip in wanted])
            for name, of_clip in others.items()
            if wanted and all(clip in of_clip for clip in wanted)
        },
    )

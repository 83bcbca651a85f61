"""What the generator is tuned on: latents and text conditions of clips.

Takes clips.parquet, the latents and the features of movies; returns `ClipMaterial`, whose arrays
stay memory-mapped until a batch is drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from boldreel.data import arrays, batches, tables
from boldreel.data import features as features_of
from boldreel.errors import UserError


@dataclass(frozen=True)
class ClipMaterial:
    """Clips of one length.

    clips, movies : names (n).
    latents : n views of memory-mapped float16 (frames, c, h, w).
    conditions : n views of memory-mapped float32 (length, width).
    frame_rate : frames per second.
    """

    clips: list[str]
    movies: list[str]
    latents: list[np.ndarray]
    conditions: list[np.ndarray]
    frame_rate: float

    def __len__(self) -> int:
        return len(self.clips)

    def draw(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents (clips, frames, c, h, w) and conditions (clips, length, width) of these rows."""
        latents = np.stack([self.latents[i] for i in rows]).astype(np.float32)
        return torch.from_numpy(latents), torch.from_numpy(self.condition(rows))

    def condition(self, rows: Sequence[int]) -> np.ndarray:
        """float32 (clips, length, width), the conditions of these rows."""
        return np.stack([self.conditions[i] for i in rows]).astype(np.float32, copy=False)

    def mean_condition(self, rows: Sequence[int]) -> np.ndarray:
        """Mean condition (length, width) of these rows, one after the other in memory."""
        total = np.zeros_like(self.conditions[0], np.float32)
        for i in rows:
            total += self.conditions[i]
        return total / np.float32(len(rows))

    def condition_variance(self) -> float:
        """Variance of conditions over clips, averaged over their values; read like `mean_condition`."""
        mean = self.mean_condition(range(len(self)))
        total = np.zeros_like(mean)
        for condition in self.conditions:
            total += np.square(condition - mean)
        return float((total / np.float32(len(self))).mean())

    def take(self, clips: Sequence[str]) -> ClipMaterial:
        """Of these clips alone, in this order; UserError for one that is not there."""
        rows = self.rows_of(clips)
        return ClipMaterial(
            clips=list(clips),
            movies=[self.movies[i] for i in rows],
            latents=[self.latents[i] for i in rows],
            conditions=[self.conditions[i] for i in rows],
            frame_rate=self.frame_rate,
        )

    def rows_of(self, clips: Sequence[str]) -> list[int]:
        """Row of each named clip; UserError for one that is not there."""
        row = {clip: i for i, clip in enumerate(self.clips)}
        missing = [clip for clip in clips if clip not in row]
        if missing:
            raise UserError(
                f"clip {missing[0]}: no latents for its movie; run generator.latents for it"
            )
        return [row[clip] for clip in clips]


def load_conditions(clips_table: Path, features: Sequence[Path]) -> dict[str, np.ndarray]:
    """Text condition (length, width) of each clip of the movies whose feature folders are given.

    A feature folder lies in its movie's, or its batch's: ``{batch}/features``.
    """
    table = tables.read(clips_table, "clips")
    batch_of = batches.of_clips(table)
    opened = features_of.FeatureFolders(features)
    conditions: dict[str, np.ndarray] = {}
    for folder in features:
        batch = folder.resolve().parent.name
        found = table[batch_of == batch]
        if found.empty:
            raise UserError(f"{folder}: {clips_table} has no clips of {batch}; cut clips again")
        for _, rows in found.sort_values("index").groupby("movie", sort=False):
            values = opened.of_movie(rows, "condition")["condition"]
            conditions.update(zip(rows["clip"].tolist(), values, strict=True))
    return conditions


def load_material(
    clips_table: Path, latents: Sequence[Path], features: Sequence[Path]
) -> ClipMaterial:
    """Clips of all movies that have both latents and features; clips of another length are left out.

    Parameters
    ----------
    latents : files ``{batch}.npy``.
    features : folders ``{batch}/features``.
    """
    conditions = load_conditions(clips_table, features)
    table = tables.read(clips_table, "clips").sort_values("index")
    of_movie = dict(iter(table.groupby("movie", sort=False)))
    rates, names, movies, views = set(), [], [], []
    for path in latents:
        coded, meta = arrays.load(path, kind="latents")
        rates.add(float(meta["frame_rate"]))
        for movie, part in batches.parts(meta, path.stem, len(coded)).items():
            values = coded[part]
            for clip in of_movie.get(movie, table[:0]).itertuples():
                if clip.first_frame + clip.n_frames > len(values):
                    raise UserError(
                        f"{path}: {len(values)} frames, but clip {clip.clip} ends at frame "
                        f"{clip.first_frame + clip.n_frames}; run stimuli.clips and generator.latents"
                    )
                if clip.clip in conditions:
                    names.append(clip.clip)
                    movies.append(movie)
                    views.append(values[clip.first_frame : clip.first_frame + clip.n_frames])
    if not names:
        raise UserError(f"{clips_table}: no clip has both latents and features; check the movies")
    if len(rates) != 1:
        raise UserError(f"latents at frame rates {sorted(rates)}: all movies need the same one")
    length = Counter(len(view) for view in views).most_common(1)[0][0]
    keep = [i for i, view in enumerate(views) if len(view) == length]
    return ClipMaterial(
        clips=[names[i] for i in keep],
        movies=[movies[i] for i in keep],
        latents=[views[i] for i in keep],
        conditions=[conditions[names[i]] for i in keep],
        frame_rate=rates.pop(),
    )

"""What the generator is tuned on: latents and text conditions of clips.

Takes clips.parquet, the latents and the features of movies; returns `ClipMaterial`, whose latents stay
memory-mapped until a batch is drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from boldreel.data import arrays, tables
from boldreel.data import features as features_of
from boldreel.errors import UserError


@dataclass(frozen=True)
class ClipMaterial:
    """Clips of one length.

    clips, movies : names (n).
    latents : n views of memory-mapped float16 (frames, c, h, w).
    condition : float32 (n, length, width).
    frame_rate : frames per second.
    """

    clips: list[str]
    movies: list[str]
    latents: list[np.ndarray]
    condition: np.ndarray
    frame_rate: float

    def __len__(self) -> int:
        return len(self.clips)

    def draw(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents (clips, frames, c, h, w) and conditions (clips, length, width) of these rows."""
        latents = np.stack([self.latents[i] for i in rows]).astype(np.float32)
        return torch.from_numpy(latents), torch.from_numpy(self.condition[list(rows)])

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

    A feature folder lies in its movie's: ``{movie}/features``.
    """
    table = tables.read(clips_table, "clips")
    conditions: dict[str, np.ndarray] = {}
    for folder in features:
        movie = folder.resolve().parent.name
        rows = table[table["movie"] == movie].sort_values("index")
        if rows.empty:
            raise UserError(f"{folder}: {clips_table} has no clips of {movie}; cut clips again")
        values = features_of.of_movie(folder, rows, "condition")["condition"]
        names = rows["clip"].tolist()
        conditions.update(zip(names, values, strict=True))
    return conditions


def load_material(
    clips_table: Path, latents: Sequence[Path], features: Sequence[Path]
) -> ClipMaterial:
    """Clips of all movies that have both latents and features; clips of another length are left out.

    Parameters
    ----------
    latents : files ``{movie}.npy``.
    features : folders ``{movie}/features``.
    """
    conditions = load_conditions(clips_table, features)
    table = tables.read(clips_table, "clips")
    rates, names, movies, views = set(), [], [], []
    for path in latents:
        values, meta = arrays.load(path, kind="latents")
        rates.add(float(meta["frame_rate"]))
        for clip in table[table["movie"] == path.stem].sort_values("index").itertuples():
            if clip.first_frame + clip.n_frames > len(values):
                raise UserError(
                    f"{path}: {len(values)} frames, but clip {clip.clip} ends at frame "
                    f"{clip.first_frame + clip.n_frames}; run stimuli.clips and generator.latents"
                )
            if clip.clip in conditions:
                names.append(clip.clip)
                movies.append(path.stem)
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
        condition=np.stack([conditions[names[i]] for i in keep]).astype(np.float32),
        frame_rate=rates.pop(),
    )

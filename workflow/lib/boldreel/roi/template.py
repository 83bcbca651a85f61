"""The positions table, from atlas and output grid alone.

Takes the `roi` section and the grid (of a preprocessed run, or of the `bold` section's resolution and
box); leaves positions.parquet: the intersection of the atlas with the template's grey matter.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from boldreel import step
from boldreel.bold import template as bold_template
from boldreel.bold.settings import Settings as BoldSettings
from boldreel.data import nifti, provenance, tables
from boldreel.errors import UserError
from boldreel.roi import atlas, positions
from boldreel.roi.settings import Settings

_GRID_KEYS = ("resolution", "output_box")


def grid_of(reference: Path | None, section: dict) -> bold_template.Grid:
    """The grid of a reference image, or of the config's resolution and output_box."""
    if reference is None:
        return bold_template.output_grid(BoldSettings.from_config(section))
    if f"space-{bold_template.SPACE}" not in reference.name:
        raise UserError(
            f"{reference}: not in space-{bold_template.SPACE}, the space of this atlas; give a run "
            "in that space"
        )
    image = nifti.load(reference)
    return bold_template.Grid(image.affine, image.shape[:3])


def cells_of(grid: bold_template.Grid) -> positions.Cells:
    """All voxels of a grid with the template's grey matter probability."""
    grey = bold_template.on_grid("GM", grid)
    return positions.Cells(
        np.indices(grid.shape).reshape(3, -1), grid.points().round(4), grey.ravel()
    )


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--atlas", type=Path, help="where the atlas lies that the config names")
    parser.add_argument("--reference", type=Path, help="a preprocessed run; default: from config")
    parser.add_argument("--output", type=Path, required=True, help="positions.parquet")
    arguments = parser.parse_args(argv)
    section = dict(arguments.config)
    grid_section = {key: section.pop(key) for key in _GRID_KEYS if key in section}
    settings = Settings.from_config(section)
    grid = grid_of(arguments.reference, grid_section)
    source = atlas.locate(settings.atlas, arguments.atlas)
    frame = positions.table(cells_of(grid), atlas.load(source), settings)
    tables.write(arguments.output, frame, "positions")
    provenance.record(arguments.output, inputs=[source], config=arguments.config, started=started)
    voxels = int((frame["i"] >= 0).sum())
    print(f"{len(frame)} positions, {voxels} voxels, {frame['patch'].nunique()} patches")


if __name__ == "__main__":
    step.run(main)

"""The positions table, from atlas and grid alone.

Reads the `roi` section and the grid (of a preprocessed run, or of the `bold` section's resolution and
box); writes positions.parquet: the areas of the atlas on that grid, cut to grey matter and to a mask; with
--control instead those on the grid where nothing visual is expected, whatever the mask.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from boldreel import step
from boldreel.bold import template as bold_template
from boldreel.bold.settings import GridSettings
from boldreel.data import nifti, preprocessed_runs, provenance, tables
from boldreel.errors import UserError
from boldreel.roi import atlas, locations, parcels, positions
from boldreel.roi.areas import Parcels
from boldreel.roi.settings import RoiSettings
from boldreel.settings import read

_GRID_KEYS = ("resolution", "output_box")


def cells_of(reference: Path | None, space: str, section: dict) -> locations.Cells:
    """The cells of a reference run (volume or CIFTI), or of the config's resolution and output_box.

    space : of the run; "" is read from its name
    """
    if reference is None:
        return locations.of_grid(bold_template.output_grid(read(GridSettings, section, "bold")))
    if reference.name.endswith(".dtseries.nii"):
        return locations.of_cifti(reference)
    image = nifti.load(reference)
    grid = bold_template.Grid(image.affine, image.shape[:3])
    return locations.of_grid(grid, space or space_of(reference))


def space_of(reference: Path) -> str:
    """The space of a preprocessed volume, as its name says."""
    found = re.search(r"_space-([A-Za-z0-9]+)", reference.name)
    if found:
        return found[1]
    raise UserError(
        f"{reference}: its name does not say its space (space-...); name it as fMRIPrep does"
    )


def areas_on(where: locations.Cells, settings: RoiSettings) -> tuple[Parcels, Path | None]:
    """The areas on the cells, and the file they come from; UserError for an atlas of another space."""
    if parcels.is_parcellation(settings.atlas):
        named = settings.atlas in parcels.NAMED
        return parcels.assign(settings.atlas, where), None if named else Path(settings.atlas)
    if where.space != bold_template.SPACE:
        raise UserError(
            f"configuration: roi.atlas {settings.atlas} is in {bold_template.SPACE}, the data are in "
            f"{where.space}; choose {' or '.join(parcels.NAMED)} or a parcellation in that space"
        )
    source = atlas.locate(settings.atlas)
    centres = atlas.load(source)
    return Parcels(centres, atlas.assign(where.places, centres)), source


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--reference", type=Path, help="a preprocessed run; default: from config")
    parser.add_argument("--runs", type=Path, help="table of preprocessed runs; its first is taken")
    parser.add_argument("--control", action="store_true", help="positions of roi.control")
    parser.add_argument("--output", type=Path, required=True, help="positions.parquet")
    arguments = parser.parse_args(argv)
    section = dict(arguments.config)
    grid_section = {key: section.pop(key) for key in _GRID_KEYS if key in section}
    settings = read(RoiSettings, section, "roi")
    reference, space = arguments.reference, ""
    if arguments.runs:
        first = preprocessed_runs.read_all(arguments.runs)[0]
        reference, space = Path(first.bold), first.space
    where = cells_of(reference, space, grid_section)
    found, source = areas_on(where, settings)
    inside = parcels.inside_mask(Path(settings.mask), where) if settings.mask else None
    if arguments.control:
        inside = np.ones(len(where.grey), dtype=bool)
        settings = replace(settings, groups=settings.control_groups, control=())
    try:
        frame = positions.table(where, found, settings, inside)
    except UserError as error:
        if arguments.control:
            raise UserError(f"roi.control: {error}; or set roi.control: []") from None
        raise
    tables.write(arguments.output, frame, "positions")
    inputs = [path for path in (source, settings.mask and Path(settings.mask)) if path]
    provenance.record(arguments.output, inputs=inputs, config=arguments.config, started=started)
    voxels = int((frame["i"] >= 0).sum())
    kind = "vertices" if where.surface else "voxels"
    print(f"{len(frame)} positions, {voxels} {kind}, {frame['patch'].nunique()} patches")


if __name__ == "__main__":
    step.run(main)

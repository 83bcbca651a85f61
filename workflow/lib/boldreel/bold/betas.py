"""Single-trial betas (of GLMsingle and the like) as a data set that the pipeline reads.

Reads a table of trials and the files of betas that it names; writes ``bids/`` (events) and ``derivatives/``
(one image a run in fMRIPrep's naming, whose volumes are the run's trials in the table's order). Trial k of a
run is volume k, at k times --spacing s, and its stimulus comes on then: at a lag of 0 a window of one volume
is one trial. Nothing in betas says which runs they were fitted on: `bold.betas` does.

The table (tab-separated) has the columns subject, task, run, stimulus (path below the folder of stimuli),
betas (a file, relative to the table), volume (the trial's place in that file, from 0), and, where needed,
session, stimulus_onset (s into the movie) and duration (s of it, if shorter than --spacing). A file is a 4-D
NIfTI, a CIFTI file with a row for each trial, or a .npy (x, y, z, trials) on the grid of --grid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from boldreel import step
from boldreel.data import atomic, bids, derivatives, event_files, files, nifti, presentations
from boldreel.errors import UserError

_COLUMNS = ("subject", "task", "run", "stimulus", "betas", "volume")


class Trial(NamedTuple):
    """A row of the table: the label of its run's files, what was shown, and where its betas are."""

    subject: str
    stem: str
    folder: str
    shown: tuple[float, str, float]
    betas: Path
    volume: int
    origin: str


def read_trials(table: Path, spacing: float) -> dict[str, list[Trial]]:
    """{stem of a run's files: its trials in order}.

    Raises
    ------
    UserError : a column that is missing, a label that file names cannot hold, a place or time that is none.
    """
    runs: dict[str, list[Trial]] = {}
    found = event_files.columns(table)
    missing = [column for column in _COLUMNS if column not in found]
    if missing:
        raise UserError(f"{table}: no column {missing[0]} (found {', '.join(found)})")
    for line, cells in event_files.rows(table):
        origin = f"{table}: row {line}"
        names = {key: cells.get(key, "") for key in ("subject", "session", "task", "run")}
        names["subject"] = names["subject"].removeprefix("sub-")
        for key, value in names.items():
            if not re.fullmatch(r"[A-Za-z0-9+]+", value) and (value or key != "session"):
                raise UserError(f"{origin}: {key} is {value!r}; expected letters and digits")
        if not cells["volume"].isdigit():
            raise UserError(f"{origin}: volume is {cells['volume']!r}; expected 0 or more")
        if not cells["stimulus"]:
            raise UserError(f"{origin}: no stimulus; leave out trials that show none")
        begin, duration = (
            presentations.number(cells[key], key, origin, low=0.0) if cells.get(key) else default
            for key, default in (("stimulus_onset", 0.0), ("duration", spacing))
        )
        if duration > spacing:
            raise UserError(
                f"{origin}: duration is {duration:g} s, trials are {spacing:g} s apart; raise --spacing"
            )
        session = [f"ses-{names['session']}"] if names["session"] else []
        subject = f"sub-{names['subject']}"
        stem = "_".join([subject, *session, f"task-{names['task']}", f"run-{names['run']}"])
        folder = "/".join([subject, *session, "func"])
        shown = duration, cells["stimulus"], begin
        path = table.parent / cells["betas"]
        trial = Trial(subject, stem, folder, shown, path, int(cells["volume"]), origin)
        runs.setdefault(stem, []).append(trial)
    return runs


def lay_out(
    table: Path, output: Path, space: str, spacing: float, grid: Path | None = None
) -> dict[str, int]:
    """Write events and images of all runs; {stem: trials}.

    Parameters
    ----------
    space : of the betas, as `bold.space` names it
    spacing : s from one trial to the next
    grid : image on whose grid .npy files are

    Raises
    ------
    UserError : as `read_trials`; a file that cannot be read, or has no such volume; one trial twice.
    """
    if not spacing > 0:
        raise UserError(f"--spacing is {spacing:g} s; give the seconds of a clip")
    surface = derivatives.parse_space(space)[0] == derivatives.SURFACE
    runs = read_trials(table, spacing)
    seen: dict[tuple[Path, int], str] = {}
    for trial in (trial for run in runs.values() for trial in run):
        place = trial.betas.resolve(), trial.volume
        if place in seen:
            raise UserError(
                f"{trial.origin}: volume {trial.volume} of {trial.betas} is in {seen[place]} already"
            )
        seen[place] = trial.origin
    about = {"Name": "single-trial betas", "BIDSVersion": "1.9.0"}
    made = {"DatasetType": "derivative", "GeneratedBy": [{"Name": "boldreel.bold.betas"}]}
    for root, text in (("bids", about), ("derivatives", about | made)):
        path = output / root / "dataset_description.json"
        atomic.write_text(path, json.dumps(text, indent=1) + "\n")
    for stem, trials in runs.items():
        _write_events(output / "bids" / trials[0].folder / f"{stem}_events.tsv", trials, spacing)
        ending = "_bold.dtseries.nii" if surface else "_desc-preproc_bold.nii.gz"
        name = f"{stem}_space-{space.replace(':', '_')}{ending}"
        path = output / "derivatives" / trials[0].folder / name
        (_write_dense if surface else _write_volume)(path, trials, spacing, grid)
        sidecar = {"RepetitionTime": spacing, "StartTime": 0.0, bids.BETAS: True}
        json_name = re.sub(r"(\.dtseries)?\.nii(\.gz)?$", ".json", name)
        atomic.write_text(path.with_name(json_name), json.dumps(sidecar, indent=1) + "\n")
    return {stem: len(trials) for stem, trials in runs.items()}


def _write_events(path: Path, trials: Iterable[Trial], spacing: float) -> None:
    lines = ["onset\tduration\tstim_file\tstim_onset"]
    for k, trial in enumerate(trials):
        duration, stimulus, begin = trial.shown
        lines.append(f"{round(k * spacing, 6):g}\t{duration:g}\t{stimulus}\t{begin:g}")
    atomic.write_text(path, "\n".join(lines) + "\n")


def _places(trials: Iterable[Trial]) -> Iterable[tuple[Path, list[int], list[int]]]:
    """(file, places in it, places in the run) of each file that a run's trials are in."""
    by_file: dict[Path, tuple[list[int], list[int]]] = {}
    for k, trial in enumerate(trials):
        there, here = by_file.setdefault(trial.betas, ([], []))
        there.append(trial.volume)
        here.append(k)
    return ((path, there, here) for path, (there, here) in by_file.items())


def _check_volumes(path: Path, wanted: list[int], count: int) -> None:
    if max(wanted) >= count:
        raise UserError(
            f"{path}: {count} trials, and the table asks for volume {max(wanted)}; volumes count from 0"
        )


def _write_volume(path: Path, trials: list[Trial], spacing: float, grid: Path | None) -> None:
    values: np.ndarray | None = None
    affine = np.eye(4)
    for source, there, here in _places(trials):
        files.check_fetched(source)
        if source.suffix == ".npy":
            betas, own = _read_npy(source), _grid(source, grid)
        else:
            image = nifti.load(source)
            nifti.check_orientation(image)
            betas, own = nifti.values(image), image.affine
        if len(betas.shape) != 4:
            raise UserError(
                f"{source}: shape {betas.shape}; betas have four axes, the last of trials"
            )
        _check_volumes(source, there, betas.shape[3])
        if values is None:
            affine = own
            values = np.empty((*betas.shape[:3], len(trials)), np.float32)
        if betas.shape[:3] != values.shape[:3] or not np.allclose(own, affine, atol=1e-3):
            raise UserError(f"{source}: not on the grid of {trials[0].betas}; resample one of them")
        values[..., here] = betas[..., there]
    assert values is not None
    nifti.save(path, values, affine, t_r=spacing)


def _write_dense(path: Path, trials: list[Trial], spacing: float, grid: Path | None) -> None:
    values: np.ndarray | None = None
    models: nib.cifti2.BrainModelAxis | None = None
    for source, there, here in _places(trials):
        files.check_fetched(source)
        try:
            image = nib.Cifti2Image.from_filename(str(source))
            betas, own = np.asanyarray(image.dataobj), image.header.get_axis(1)
        except (
            nib.filebasedimages.ImageFileError,
            nib.wrapstruct.WrapStructError,
            ValueError,
            OSError,
        ):
            raise UserError(f"{source}: not a readable CIFTI file") from None
        if not isinstance(own, nib.cifti2.BrainModelAxis):
            raise UserError(f"{source}: has no grayordinates; give a dscalar.nii or dtseries.nii")
        _check_volumes(source, there, len(betas))
        if values is None or models is None:
            models = own
            values = np.empty((len(trials), len(own)), np.float32)
        if own != models:
            raise UserError(
                f"{source}: not the grayordinates of {trials[0].betas}; resample one of them"
            )
        values[here] = betas[there]
    assert values is not None
    series = nib.cifti2.SeriesAxis(0.0, spacing, len(trials), "SECOND")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(path) as aside:
        nib.Cifti2Image(values, (series, models)).to_filename(str(aside))


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        raise UserError(
            f"{path}: not an array that can be read; of GLMsingle's dictionary save betasmd alone: "
            "np.save('betas.npy', results['betasmd'])"
        ) from None


def _grid(source: Path, grid: Path | None) -> np.ndarray:
    if grid is None:
        raise UserError(
            f"{source}: a .npy does not say where its voxels lie; name an image in --grid"
        )
    image = nifti.load(grid)
    nifti.check_orientation(image)
    return image.affine


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--trials", type=Path, required=True, help="table of the trials, .tsv")
    parser.add_argument("--space", required=True, help="of the betas, as bold.space names it")
    parser.add_argument(
        "--spacing", type=float, required=True, help="s from trial to trial: stimuli.clip_duration"
    )
    parser.add_argument("--grid", type=Path, help="image on whose grid .npy files are")
    parser.add_argument("--output", type=Path, required=True, help="folder for bids/, derivatives/")
    arguments = parser.parse_args(argv)
    runs = lay_out(
        arguments.trials, arguments.output, arguments.space, arguments.spacing, arguments.grid
    )
    print(f"{sum(runs.values())} trials in {len(runs)} runs below {arguments.output}")


if __name__ == "__main__":
    step.run(main)

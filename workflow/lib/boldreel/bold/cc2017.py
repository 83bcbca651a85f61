"""cc2017 (Wen et al. 2018, Cereb Cortex 28:4136) as a data set that the pipeline reads.

Reads the authors' unpacked archives (``video_fmri_dataset/`` with ``stimuli/`` and ``subjectN/``); writes,
by links and without copying an image, ``bids/`` (movies, events, T1w) and ``derivatives/`` (the runs in
fMRIPrep's naming, CIFTI in fsLR and volumes in MNI, untrimmed, with their timing). Counts are checked:
18 training segments of two repeats, five test segments of ten, 245 or 246 volumes.

**The clock.** Runs of 245 volumes (``seg*``, ``test1``) begin 2 s after the movie, those of 246 with it:
their events say onset -2 s and 0 s. The authors cut the first one (of 245) or two (of 246) volumes and the
last four: kept volume k was acquired 4 + 2 k s after the movie's start, so their crop holds a lag of 4 s
already. Here nothing is cut, and the lag is one number of the configuration.

**Mended:** ``test1_9.mni.nii.gz`` of subject 1 (a dot for an underscore). **Refused:** ``test2_9`` of subject
3, which starts about 10 s late.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from boldreel import step
from boldreel.data import atomic, bids_names, cifti, nifti
from boldreel.errors import UserError

T_R = 2.0
DURATION = 480.0  # s, every movie
TRAIN = tuple(f"seg{k}" for k in range(1, 19))
TEST = tuple(f"test{k}" for k in range(1, 6))
REPEATS = {"seg": 2, "test": 10}
LATE = {("3", "test2", 9)}
SPACES = {
    "fsLR_den-91k": "_bold.dtseries.nii",
    "MNI152NLin6Asym": "_desc-preproc_bold.nii.gz",
}


@dataclass(frozen=True)
class Source:
    """One file of the archive: what it is, and where it lies."""

    subject: str
    segment: str
    repeat: int
    space: str
    path: Path


def volumes_of(segment: str) -> int:
    """Number of volumes of a run as distributed."""
    return 246 if segment in TEST[1:] else 245


def movie_onset(segment: str) -> float:
    """When the movie began, s from the run's first volume."""
    return -2.0 if volumes_of(segment) == 245 else 0.0


def repeats_of(segment: str) -> int:
    """How often a segment was shown."""
    return REPEATS["test" if segment.startswith("test") else "seg"]


def find(root: Path, subject: str) -> list[Source]:
    """The runs of a subject ("1", "2", "3"), in every space that is there, without the late one.

    Raises
    ------
    UserError : no such subject, or runs that are missing (all of them are named).
    """
    folder = root / f"subject{subject}" / "fmri"
    if not folder.is_dir():
        raise UserError(
            f"{folder}: not there; give the folder video_fmri_dataset of the unpacked archives "
            "(each archive holds a second one)"
        )
    found: list[Source] = []
    missing: list[str] = []
    for space in SPACES:
        sources, absent = _in_space(folder, subject, space)
        # A lab may have fetched one space alone; half a space is a broken download.
        if sources:
            found += sources
            missing += absent
    if not found:
        raise UserError(f"{folder}: neither */cifti/*_Atlas.dtseries.nii nor */mni/*_mni.nii.gz")
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} runs are missing ({', '.join(missing[:5])}"
            f"{', ...' if len(missing) > 5 else ''}); unpack the archive again"
        )
    return found


def _in_space(folder: Path, subject: str, space: str) -> tuple[list[Source], list[str]]:
    sources, missing = [], []
    for segment in (*TRAIN, *TEST):
        for repeat in range(1, repeats_of(segment) + 1):
            if (subject, segment, repeat) in LATE:
                continue
            paths = [folder / segment / name for name in _names(segment, repeat, space)]
            there = [path for path in paths if path.exists()]
            if there:
                sources.append(Source(subject, segment, repeat, space, there[0]))
            else:
                missing.append(str(paths[0].relative_to(folder)))
    return sources, missing


def _names(segment: str, repeat: int, space: str) -> list[str]:
    run = f"{segment}_{repeat}"
    if space.startswith("fsLR"):
        return [f"cifti/{run}_Atlas.dtseries.nii"]
    return [f"mni/{run}_mni.nii.gz", f"mni/{run}.mni.nii.gz"]  # the second: subject 1, test1_9


def check(source: Source) -> None:
    """UserError if a run has another number of volumes, or of grayordinates, than was published."""
    if source.space.startswith("fsLR"):
        about = cifti.outline(source.path)
        count = about.volumes
        if about.grayordinates != 91282:
            raise UserError(
                f"{source.path}: {about.grayordinates} grayordinates, 91282 expected; fetch it again"
            )
    else:
        count = nifti.load(source.path).shape[3]
    if count != volumes_of(source.segment):
        raise UserError(
            f"{source.path}: {count} volumes, {volumes_of(source.segment)} as published; fetch it "
            "again, untrimmed"
        )


def lay_out(root: Path, subjects: list[str], output: Path) -> int:
    """Write events and links for all runs of these subjects; their number.

    Raises
    ------
    UserError : as `find` and `check`, a movie that is missing.
    """
    movies = {segment: root / "stimuli" / f"{segment}.mp4" for segment in (*TRAIN, *TEST)}
    for path in movies.values():
        if not path.exists():
            raise UserError(f"{path}: movie not found; unpack the archive of the stimuli")
    sources = [source for subject in subjects for source in find(root, subject)]
    for source in sources:
        check(source)
    raw, derivatives = output / "bids", output / "derivatives"
    about = {"Name": "cc2017 (Wen et al. 2018)", "BIDSVersion": "1.9.0"}
    atomic.write_text(raw / "dataset_description.json", json.dumps(about, indent=1) + "\n")
    made = {"DatasetType": "derivative", "GeneratedBy": [{"Name": "authors of cc2017"}]}
    atomic.write_text(
        derivatives / "dataset_description.json", json.dumps(about | made, indent=1) + "\n"
    )
    for segment, path in movies.items():
        _link(path, raw / "stimuli" / f"{segment}.mp4")
    for subject in subjects:
        t1w = root / f"subject{subject}" / "smri" / "t1w.nii.gz"
        if t1w.exists():
            _link(t1w, raw / f"sub-0{subject}" / "anat" / f"sub-0{subject}_T1w.nii.gz")
    for source in sources:
        _write_run(source, raw, derivatives)
    return len(sources)


def _write_run(source: Source, raw: Path, derivatives: Path) -> None:
    label = bids_names.run_label(source.segment, source.repeat)
    stem = f"sub-0{source.subject}_{label}"
    func = Path(f"sub-0{source.subject}") / "func"
    row = [movie_onset(source.segment), DURATION, f"{source.segment}.mp4", 0.0]
    lines = ["onset\tduration\tstim_file\tstim_onset", "\t".join(map(str, row))]
    atomic.write_text(raw / func / f"{stem}_events.tsv", "\n".join(lines) + "\n")
    bold = derivatives / func / f"{stem}_space-{source.space}{SPACES[source.space]}"
    _link(source.path, bold)
    about = {"RepetitionTime": T_R, "StartTime": 0.0, "TaskName": source.segment}
    name = bold.name.removesuffix(".gz").removesuffix(".nii").removesuffix(".dtseries")
    atomic.write_text(bold.with_name(f"{name}.json"), json.dumps(about, indent=1) + "\n")


def _link(source: Path, target: Path) -> None:
    """A relative link, so that the archive and the data set may move together."""
    target.parent.mkdir(parents=True, exist_ok=True)
    to = os.path.relpath(source.resolve(), target.parent.resolve())
    if target.is_symlink() and str(target.readlink()) == to:
        return
    if target.exists() and not target.is_symlink():
        raise UserError(f"{target}: a file is there already; give an empty folder as --output")
    target.unlink(missing_ok=True)
    target.symlink_to(to)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--source", type=Path, required=True, help=".../video_fmri_dataset")
    parser.add_argument("--subjects", nargs="+", default=["1", "2", "3"], choices=["1", "2", "3"])
    parser.add_argument("--output", type=Path, required=True, help="folder for bids/, derivatives/")
    arguments = parser.parse_args(argv)
    count = lay_out(arguments.source, arguments.subjects, arguments.output)
    late = [label for label in sorted(LATE) if label[0] in arguments.subjects]
    for subject, segment, repeat in late:
        print(f"subject {subject}: {segment}_{repeat} starts about 10 s late and is left out")
    print(f"{count} runs of {len(arguments.subjects)} subjects linked below {arguments.output}")


if __name__ == "__main__":
    step.run(main)

"""The raw BOLD runs of one subject of the embedded data set, of movies or at rest.

Reads a subject's truth folder (written by boldreel.insilico.anatomy), the stimulus drive and the
`insilico` section; writes of every run a 4-D NIfTI, its sidecar and events, and its head motion as
truth. The signal is the same in every repeat of a movie, everything else is drawn again.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from boldreel import step
from boldreel.data import atomic, nifti, provenance
from boldreel.insilico import design, encoding, head, noise, response, scanner
from boldreel.insilico.seeding import generator
from boldreel.insilico.settings import InsilicoSettings
from boldreel.insilico.subject import Subject
from boldreel.settings import read
from boldreel.training.progress import Progress


def simulate(
    settings: InsilicoSettings, answers: response.Response, segment: str, repeat: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One run: int16 data (x, y, z, n_volumes), slice times (s), poses (n_volumes, 4, 4)."""
    seed, t_r = settings.seed, settings.t_r
    subject = answers.subject
    n_volumes, run = design.volumes(settings, segment), (answers.label, segment, repeat)
    view, model = subject.view, subject.model
    times = scanner.slice_times(view.shape[2], t_r)
    parameters = head.motion(generator(seed, "motion", *run), n_volumes)
    poses = head.poses(parameters, view.centre)
    sigma = encoding.FWHM / 2.355 / float(np.linalg.norm(model.affine[:3, 0]))
    changes = noise.field(
        generator(seed, "noise", *run), model.shape, n_volumes, t_r, sigma, noise.read_spectrum()
    )
    changes *= model.noise_sd
    signal = answers.courses(segment, repeat)
    rng = generator(seed, "scanner", *run)
    return scanner.acquire(subject, poses, changes, signal, times, t_r, rng), times, poses


def write_sidecars(settings: InsilicoSettings, bold: Path, segment: str, times: np.ndarray) -> None:
    """The run's BIDS metadata and its events: one, the movie or the rest."""
    t_r, stem = settings.t_r, bold.name.split(".")[0]
    sidecar = {
        "TaskName": segment,
        "RepetitionTime": t_r,
        "SliceTiming": times.tolist(),
        "SliceEncodingDirection": "k",
        "EchoTime": 0.03,
        "MagneticFieldStrength": 3,
        "Instructions": "lie still" if segment == design.REST else "watch the movie",
    }
    atomic.write_text(bold.with_name(f"{stem}.json"), json.dumps(sidecar, indent=1) + "\n")
    if segment == design.REST:
        row = [0.0, design.volumes(settings, segment) * t_r, "rest", "n/a", "n/a"]
    else:
        # The part of a later movie past the run's end is not shown.
        onset = settings.movie_onset
        row = [onset, design.movie_duration(settings) - onset, "movie", f"{segment}.mp4", 0.0]
    header = ["onset", "duration", "trial_type", "stim_file", "stim_onset"]
    text = "\t".join(header) + "\n" + "\t".join(map(str, row)) + "\n"
    atomic.write_text(bold.with_name(f"{stem.removesuffix('_bold')}_events.tsv"), text)


def write_run(
    settings: InsilicoSettings, answers: response.Response, segment: str, repeat: int, func: Path
) -> dict[str, Any]:
    """Simulate one run and write it into the subject's `func` folder; the truth about it."""
    data, times, poses = simulate(settings, answers, segment, repeat)
    bold = func / f"sub-{answers.label}_task-{segment}_run-{repeat}_bold.nii"
    nifti.save(bold, data, answers.subject.view.affine, t_r=settings.t_r)
    write_sidecars(settings, bold, segment, times)
    centre = answers.subject.view.centre
    return {
        "subject": answers.label,
        "segment": segment,
        "repeat": repeat,
        "motion": {
            "definition": (
                "motion[v]: translation x, y, z (mm) and rotation about x, y, z (degrees, "
                "R = Rx Ry Rz, about centre, before the translation) of the head in scanner world "
                "since volume 0. t1w_to_scanner[v]: 4 x 4, maps points of the T1w image's world to "
                "the scanner's at volume v; from volume a to volume b: m[b] @ inv(m[a])."
            ),
            "centre": centre.tolist(),
            "motion": head.relative(poses, centre).round(6).tolist(),
            "t1w_to_scanner": poses.round(8).tolist(),
        },
    }


def main(argv: list[str] | None = None) -> None:
    """Write all runs of a subject and the truth about them."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--subject", required=True, help="label without sub-")
    parser.add_argument(
        "--drive", required=True, type=Path, help="folder of boldreel.insilico.drive"
    )
    parser.add_argument("--func", required=True, type=Path, help="the subject's BIDS func folder")
    parser.add_argument(
        "--truth", required=True, type=Path, help="the subject's folder with anatomy.json"
    )
    args = parser.parse_args(argv)
    settings = read(InsilicoSettings, args.config, "insilico")
    answers = response.Response(settings, Subject.load(args.truth), args.subject, args.drive)
    runs = design.runs(settings, args.subject)
    progress = Progress(len(runs), f"sub-{args.subject}", unit="runs")
    for segment, repeat in runs:
        facts = write_run(settings, answers, segment, repeat, args.func)
        truth = args.truth / f"task-{segment}_run-{repeat}.json"
        atomic.write_text(truth, json.dumps(facts) + "\n")
        provenance.record(
            truth,
            inputs=[args.truth / "anatomy.json", args.drive],
            config=asdict(settings),
            seed=settings.seed,
            started=started,
        )
        progress.update()


if __name__ == "__main__":
    step.run(main)

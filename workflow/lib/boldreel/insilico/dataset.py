"""The files that make a BIDS data set of the runs: description, README, participants.

Reads the data set's folder, the subjects and the `insilico` section; writes dataset_description.json,
README, participants.tsv and .json, and the description of the events' columns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from boldreel import step
from boldreel.data import atomic
from boldreel.errors import UserError
from boldreel.insilico import design
from boldreel.insilico.settings import InsilicoSettings
from boldreel.settings import read

BIDS_VERSION = "1.10.0"

README = """\
# Semi-synthetic movie fMRI

Made by boldreel (boldreel.insilico) from a seed: nobody was scanned.

- stimuli/: movies of a small world (object, colour, background, motion, size), {duration:g} s each,
  with the labels of every shot next to them. Backgrounds are cut from photographs that scikit-image
  ships.
- sub-*/anat: the MNI152 2009a symmetric template (as nilearn ships it), moved, scaled and given a
  skull.
- sub-*/func: BOLD of the posterior brain, repetition time {t_r:g} s. Visual areas respond through
  known encoding models and a known haemodynamic response; noise has the spectrum of real BOLD; the
  head moves by known amounts. Tasks are named after the movie; task-rest shows nothing.
"""


def files(settings: InsilicoSettings, subjects: Sequence[str]) -> dict[str, str]:
    """Name and text of every file at the top of the data set."""
    if len(set(subjects)) < len(subjects):
        raise UserError("--subjects: a label occurs twice; give each subject once")
    resting = design.rest_subjects(settings)
    rows = [
        f"sub-{label}\t{'rest' if label in resting else 'movie'}"
        for label in (name.removeprefix("sub-") for name in subjects)
    ]
    description = {
        "Name": "boldreel embedded data set (semi-synthetic)",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "License": "Apache-2.0",
        "Authors": ["boldreel"],
        "GeneratedBy": [{"Name": "boldreel.insilico"}],
    }
    participants = {
        "cohort": {
            "Description": "What the subject did in the scanner",
            "Levels": {"movie": "watched movies", "rest": "rested"},
        }
    }
    events = {
        "trial_type": {
            "Description": "What was shown",
            "Levels": {"movie": "a movie", "rest": "nothing"},
        },
        "stim_file": {"Description": "The movie, relative to stimuli/"},
        "stim_onset": {"Description": "Where in the movie the event starts", "Units": "s"},
    }
    return {
        "dataset_description.json": json.dumps(description, indent=1) + "\n",
        "README": README.format(duration=design.movie_duration(settings), t_r=settings.t_r),
        "participants.tsv": "\n".join(["participant_id\tcohort", *rows]) + "\n",
        "participants.json": json.dumps(participants, indent=1) + "\n",
        **{
            f"task-{segment}_events.json": json.dumps(events, indent=1) + "\n"
            for segment in [*design.segments(settings), design.REST]
        },
    }


def main(argv: list[str] | None = None) -> None:
    """Write the files at the top of the data set."""
    parser = step.parser(__doc__)
    parser.add_argument("--bids", required=True, type=Path, help="folder of the data set")
    parser.add_argument("--subjects", required=True, nargs="+", help="labels without sub-")
    args = parser.parse_args(argv)
    settings = read(InsilicoSettings, args.config, "insilico")
    for name, text in files(settings, args.subjects).items():
        atomic.write_text(args.bids / name, text)


if __name__ == "__main__":
    step.run(main)

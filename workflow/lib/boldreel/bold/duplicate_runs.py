"""No two subjects' runs may hold the same data.

Reads the quality tables of all subjects, cohort included; writes a list of the runs that were compared, or
one line that names the two. (An archive of this field was found to hold one subject's data twice.)
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from boldreel import step
from boldreel.bold import content_hash
from boldreel.data import atomic, provenance, tables


def compare(quality: dict[str, Path]) -> list[str]:
    """Names of all runs whose content is known.

    Parameters
    ----------
    quality : {subject: its qc.tsv}

    Raises
    ------
    UserError : two runs hold the same data.
    """
    known: dict[str, str] = {}
    for subject, path in quality.items():
        table = tables.read(path, "qc")
        for row in table[table["content"] != "unknown"].itertuples():
            known[f"sub-{subject} {row.run}"] = str(row.content)
    content_hash.refuse_duplicates(known)
    return list(known)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--subjects", nargs="+", required=True, help="labels, without sub-")
    parser.add_argument("--qc", type=Path, nargs="+", required=True, help="tables, same order")
    parser.add_argument("--output", type=Path, required=True, help="JSON list of the runs")
    arguments = parser.parse_args(argv)
    runs = compare(dict(zip(arguments.subjects, arguments.qc, strict=True)))
    atomic.write_text(arguments.output, json.dumps(runs, indent=1) + "\n")
    provenance.record(
        arguments.output, inputs=arguments.qc, config=arguments.config, started=started
    )
    print(f"{len(runs)} runs of {len(arguments.subjects)} subjects hold different data")


if __name__ == "__main__":
    step.run(main)

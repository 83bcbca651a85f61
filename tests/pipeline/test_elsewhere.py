"""The workflow used from elsewhere: as a module, with another working directory, and after a move."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from boldreel import forgotten

from .workflow import Workspace, copy_of_repository, environment

pytestmark = pytest.mark.pipeline
TINY = "tests/pipeline/tiny.yaml"
MODULE = """
configfile: "video.yaml"


module boldreel:
    snakefile:
        {snakefile!r}
    config:
        config["boldreel"]
{more}

use rule * from boldreel{renamed}
"""
# (what the module statement has more, how the rules are renamed, where their files lie)
MODULES = {
    "plain": ("", "", ""),
    "renamed": ("", " as video_*", ""),
    "prefix": ('    prefix:\n        "parts/video"\n', " as video_*", "parts/video/"),
}


@pytest.fixture
def checkout(tmp_path) -> Workspace:
    (tmp_path / "checkout").mkdir()
    workspace = copy_of_repository(tmp_path / "checkout")
    workspace.configuration = TINY
    return workspace


@pytest.fixture
def project(tmp_path) -> Path:
    """The folder of a workflow of somebody else."""
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def snakemake(folder: Path, *arguments: str) -> str:
    """What Snakemake prints in a folder; fails where it does."""
    words = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(
        words, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-4000:]
    return text


def importing(
    project: Path, checkout: Workspace, kind: str, before: str = "", after: str = ""
) -> None:
    """Write a Snakefile that uses the workflow as a module, with more before and after that."""
    more, renamed, _ = MODULES[kind]
    snakefile = str(checkout.root / "workflow" / "Snakefile")
    text = MODULE.format(snakefile=snakefile, more=more, renamed=renamed)
    (project / "Snakefile").write_text(before + text + after)
    config = load_configfile(checkout.root / "config" / "config.yaml")
    update_config(config, load_configfile(checkout.root / TINY))
    (project / "video.yaml").write_text(yaml.safe_dump({"boldreel": config}))


def jobs(text: str) -> Iterator[tuple[str, str]]:
    """(rule, its lines) of every job that is printed."""
    yield from re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", text, flags=re.MULTILINE)


@pytest.mark.parametrize("kind", MODULES)
def test_as_a_module_it_plans_the_same_jobs(checkout, project, kind):
    importing(project, checkout, kind)
    own = sorted(rule for rule, _ in jobs(checkout.run("--dry-run").stdout))
    planned = list(jobs(snakemake(project, "--dry-run")))
    assert len(own) > 50
    assert sorted(rule.removeprefix("video_") for rule, _ in planned) == own
    for rule, lines in planned:
        for path in re.findall(r"(?<=[ :,])[\w/.-]*\b(?:results|logs)/demo", lines):
            assert path in (f"{MODULES[kind][2]}results/demo", f"{MODULES[kind][2]}logs/demo"), rule
    everything = [lines for rule, lines in planned if rule.endswith("report_page")]
    assert len(everything) == 1


def test_as_a_module_it_leaves_out_who_was_forgotten(checkout, project):
    """Who that is lies in the results, which have the module's prefix."""
    importing(project, checkout, "prefix")
    config = yaml.safe_load((project / "video.yaml").read_text())
    for section in (config["boldreel"]["pretrain"], config["boldreel"]["insilico"]["rest"]):
        section["subjects"] = ["rest01", "rest02", "rest03"]
    (project / "video.yaml").write_text(yaml.safe_dump(config))
    forgotten.add(project / "parts/video/results/demo", "rest02")
    text = snakemake(project, "--dry-run")
    assert "sub-rest02 is skipped" in text and "subject=rest03" in text
    assert "subject=rest02" not in text


def test_as_a_module_it_runs_and_leaves_the_importing_workflow_its_own(checkout, project):
    """Own rules keep their shell and stay the default; hooks of both run, wherever they stand."""
    before = (
        'rule mine:\n    output: "mine.txt"\n    shell: "echo ${{PYTHONPATH:-none}} > {output}"\n'
    )
    after = 'onstart:\n    print("both started")\n'
    importing(project, checkout, "prefix", before, after)
    assert [rule for rule, _ in jobs(snakemake(project, "--dry-run"))] == ["mine"]
    made = "parts/video/results/demo"
    targets = [f"{made}/bids/sub-01/anat/sub-01_T1w.nii.gz", f"{made}/stimuli/test01/frames.npy"]
    text = snakemake(project, "mine.txt", *targets)
    assert "both started" in text
    assert all((project / target).exists() for target in targets)
    assert (project / "mine.txt").read_text() == "none\n"
    held = json.loads((project / made / ".lock").read_text())
    assert held["working_directory"] == str(project)


def pretend(folder: Path, *arguments: str) -> int:
    """Make all that a plan would make, empty, and let Snakemake note it as made; how many jobs."""
    planned = list(jobs(snakemake(folder, "--dry-run", *arguments)))
    for _, lines in planned:
        for path in re.findall(r"^    output: (.*)", lines, flags=re.MULTILINE):
            for name in path.split(", "):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                if Path(name).suffix or name.endswith("README"):
                    (folder / name).touch()
                else:
                    (folder / name).mkdir(exist_ok=True)
    snakemake(folder, "--touch", "--forceall", *arguments)
    return len(planned)


def test_a_moved_project_and_a_moved_repository_have_nothing_to_do(checkout, project):
    """Each on its own, and then an input that is another one is noticed all the same."""
    importing(project, checkout, "plain")
    assert pretend(project) > 50
    assert "Nothing to be done" in snakemake(project, "--dry-run")
    checkout.root = checkout.root.rename(checkout.root.with_name("elsewhere"))
    project = project.rename(project.with_name("renamed project"))
    importing(project, checkout, "plain")
    text = snakemake(project, "--dry-run")
    assert "Nothing to be done" in text, text[-3000:]
    text = (project / "video.yaml").read_text()
    copied = checkout.root / "resources" / "insilico" / "other"
    copied.symlink_to("clip")
    config = yaml.safe_load(text)
    config["boldreel"]["models"] = {"clip": "resources/insilico/other"}
    (project / "video.yaml").write_text(yaml.safe_dump(config))
    again = {rule for rule, _ in jobs(snakemake(project, "--dry-run"))}
    assert {"stimuli_features", "evaluate_score"} <= again and "stimuli_decode" not in again


def test_another_working_directory_runs_the_demo_there(checkout, project):
    """Without a configuration of its own; with one, that is read."""
    command = ["--snakefile", str(checkout.root / "workflow" / "Snakefile")]
    command += ["--directory", str(project)]
    planned = [rule for rule, _ in jobs(snakemake(checkout.root.parent, "--dry-run", *command))]
    assert planned.count("insilico_movie") == 8 and "report_page" in planned
    (project / "config").mkdir()
    config = load_configfile(checkout.root / "config" / "config.yaml")
    config["insilico"] = {"train_movies": 3}
    config["segments"] = {"train": ["train*"], "validation": ["train03"], "test": ["test*"]}
    (project / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    planned = [rule for rule, _ in jobs(snakemake(checkout.root.parent, "--dry-run", *command))]
    assert planned.count("insilico_movie") == 5

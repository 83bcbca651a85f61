"""fMRIPrep's call, word by word, against a docker and an apptainer that write down what they are told."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.unit.bold.test_import_derivatives import volume

from boldreel.bold import fmriprep
from boldreel.bold.settings import FmriprepSettings
from boldreel.data import bids, preprocessed_runs
from boldreel.errors import UserError
from boldreel.settings import read

TOOLS = Path(__file__).parents[2] / "tools" / "containers"
STEM = "sub-01_task-movie"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A raw data set, what fMRIPrep will make of it, a licence, and the recording tools on PATH."""
    raw = tmp_path / "raw"
    volume(raw / f"sub-01/func/{STEM}_bold.nii.gz")
    (raw / "dataset_description.json").write_text("{}")
    made = tmp_path / "made"
    volume(made / f"sub-01/func/{STEM}_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz")
    (tmp_path / "licence.txt").write_text("licence")
    monkeypatch.setenv("PATH", f"{TOOLS}:{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(tmp_path / "calls"))
    monkeypatch.setenv("FMRIPREP_MAKES", str(made))
    monkeypatch.delenv("FS_LICENSE", raising=False)
    return tmp_path


def calls(place: Path) -> list[list[str]]:
    path = place / "calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def check(place: Path, engine: str, **section) -> None:
    section = {"licence": str(place / "licence.txt"), **section}
    fmriprep.check(engine, read(FmriprepSettings, section, "bold.fmriprep"))


def run(place: Path, engine: str, *more: str, **section) -> None:
    section = {"licence": str(place / "licence.txt"), "threads": 4, "memory": 12000, **section}
    raw = bids.find_runs(place / "raw", "01")
    words = ["--engine", engine, "--subject", "01", "--bids", str(place / "raw")]
    words += ["--bold", *(str(run.path) for run in raw), "--labels", *(run.label for run in raw)]
    words += ["--derivatives", str(place / "out"), "--work", str(place / "state/fmriprep")]
    words += ["--output", str(place / "bold.tsv"), "--config", json.dumps(section), *more]
    fmriprep.main(words)


def test_docker_word_by_word(place):
    (place / "filter.json").write_text("{}")
    run(
        place, "fmriprep-docker", bids_filter=str(place / "filter.json"), options=["--fs-no-resume"]
    )
    called = calls(place)[-1]
    licence = place / "licence.txt"
    assert called == [
        *("docker", "run", "--rm", "-e", "DOCKER_VERSION_8395080871=27.0.1"),
        *("-u", f"{os.getuid()}:{os.getgid()}"),
        *("-v", f"{licence}:/opt/freesurfer/license.txt:ro"),
        *("-v", f"{place}/raw:/data:ro", "-v", f"{place}/out:/out"),
        *("-v", f"{place}/state/fmriprep:/scratch"),
        *("-v", f"{place}/filter.json:/tmp/bids_filter.json"),
        *("nipreps/fmriprep:25.2.7", "/data", "/out", "participant"),
        *("--participant-label", "01", "--nthreads", "4", "--omp-nthreads", "4"),
        *("--mem_mb", "12000", "--notrack", "--cifti-output", "91k", "--fs-no-resume"),
        *("-w", "/scratch", "--bids-filter-file", "/tmp/bids_filter.json"),
        *("--output-spaces", "MNI152NLin2009cAsym:res-2"),
    ]
    assert "-it" not in called


def test_apptainer_word_by_word(place):
    image = place / "fmriprep.sif"
    image.write_text("image")
    spaces = ["MNI152NLin2009cAsym:res-2", "T1w"]
    (place / "filter.json").write_text("{}")
    more = {"bids_filter": str(place / "filter.json"), "output_spaces": spaces, "cifti": None}
    run(place, "fmriprep-apptainer", image=str(image), **more)
    (called,) = calls(place)
    assert called == [
        *("apptainer", "run", "--cleanenv"),
        *("--bind", f"{place}/raw:/data:ro", "--bind", f"{place}/out:/out"),
        *("--bind", f"{place}/state/fmriprep:/scratch"),
        *("--bind", f"{place}/licence.txt:/opt/freesurfer/license.txt:ro"),
        *("--bind", f"{place}/filter.json:/bids_filter.json:ro"),
        *(str(image), "/data", "/out", "participant", "--work-dir", "/scratch"),
        *("--fs-license-file", "/opt/freesurfer/license.txt"),
        *("--bids-filter-file", "/bids_filter.json"),
        *("--output-spaces", "MNI152NLin2009cAsym:res-2", "T1w"),
        *("--participant-label", "01", "--nthreads", "4", "--omp-nthreads", "4"),
        *("--mem_mb", "12000", "--notrack"),
    ]


@pytest.mark.parametrize("engine", fmriprep.ENGINES)
def test_what_it_leaves(place, engine):
    (place / "fmriprep.sif").write_text("image")
    image = str(place / "fmriprep.sif") if engine == "fmriprep-apptainer" else None
    run(place, engine, image=image)
    found = preprocessed_runs.read(place / "bold.tsv", "movie", 1)
    about = json.loads((place / "bold.tsv.provenance.json").read_text())
    assert list(about["inputs"]) == [str(place / f"raw/sub-01/func/{STEM}_bold.nii.gz")]
    assert found.bold == str(
        place / f"out/sub-01/func/{STEM}_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz"
    )


def test_a_failed_run_leaves_no_table(place, monkeypatch):
    monkeypatch.setenv("FMRIPREP_FAILS", "3")
    with pytest.raises(UserError, match=r"exit code 3"):
        run(place, "fmriprep-docker")
    assert not (place / "bold.tsv").exists()
    assert (place / "state/fmriprep").is_dir(), "the work directory stays, to go on from"


def test_a_run_that_fmriprep_left_out(place):
    volume(place / "raw/sub-01/func/sub-01_task-probe_bold.nii.gz")
    with pytest.raises(UserError, match=r"task-probe"):
        run(place, "fmriprep-docker")
    assert not (place / "bold.tsv").exists()


def test_tasks_that_nobody_needs_are_left_out(place):
    """Of a localizer that is not wanted fMRIPrep is not told, and its absence is no fault."""
    raw = place / "raw/sub-01/func"
    volume(raw / "sub-01_task-localizer_bold.nii.gz")
    fmriprep_only = ["--bold", str(raw / f"{STEM}_bold.nii.gz"), "--labels", "task-movie_run-1"]
    run(place, "fmriprep-docker", *fmriprep_only, "--filter", '{"task": ["movie"]}')
    mounted = "state/fmriprep/bids_filter.json"
    assert any(mounted in word for word in calls(place)[-1])
    assert json.loads((place / mounted).read_text()) == {"bold": {"task": ["movie"]}}
    assert [each.segment for each in preprocessed_runs.read_all(place / "bold.tsv")] == ["movie"]


def test_runs_are_named_as_raw_data_count_them(place):
    """Only the second session was preprocessed: its run stays the second of its task."""
    shutil.rmtree(place / "raw/sub-01")
    shutil.rmtree(place / "made/sub-01")
    for session in "ab":
        volume(place / f"raw/sub-01/ses-{session}/func/sub-01_ses-{session}_task-x_bold.nii.gz")
    stem = "sub-01_ses-b_task-x"
    second = f"{stem}_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz"
    volume(place / "made/sub-01/ses-b/func" / second)
    wanted = str(place / f"raw/sub-01/ses-b/func/{stem}_bold.nii.gz")
    run(place, "fmriprep-docker", "--bold", wanted, "--labels", "task-x_run-2")
    (only,) = preprocessed_runs.read_all(place / "bold.tsv")
    assert (only.segment, only.repeat) == ("x", 2) and "ses-b" in only.bold


@pytest.mark.parametrize(
    ("engine", "variable", "message"),
    [
        ("fmriprep-docker", "DOCKER_DOWN", "daemon does not answer"),
        ("fmriprep-docker", "DOCKER_EMPTY", "docker pull nipreps/fmriprep:25.2.7"),
    ],
)
def test_docker_that_cannot_run_is_told_first(place, monkeypatch, engine, variable, message):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(UserError, match=message):
        check(place, engine)
    assert not any("participant" in call for call in calls(place))


@pytest.mark.parametrize("engine", fmriprep.ENGINES)
def test_no_engine(place, monkeypatch, engine):
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(UserError, match=r"on PATH"):
        check(place, engine)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"licence": None}, "bold.fmriprep.licence is not set"),
        ({"licence": "nowhere.txt"}, "nowhere.txt.*is not there"),
        ({"bids_filter": "nowhere.json"}, "nowhere.json"),
        ({"treads": 4}, "bold.fmriprep.treads is not a key"),
    ],
)
def test_what_is_missing_is_told_first(place, section, message):
    with pytest.raises(UserError, match=message):
        check(place, "fmriprep-docker", **section)
    assert calls(place) == []


@pytest.mark.parametrize("image", [None, "nowhere.sif"])
def test_no_apptainer_image(place, image):
    with pytest.raises(UserError, match=r"apptainer build .*docker://nipreps/fmriprep:25.2.7"):
        check(place, "fmriprep-apptainer", image=image)


def test_licence_from_the_environment(place, monkeypatch):
    monkeypatch.setenv("FS_LICENSE", str(place / "licence.txt"))
    check(place, "fmriprep-docker", licence=None)


def test_work_directory_inside_the_data(place):
    with pytest.raises(UserError, match=r"inside the data set"):
        run(place, "fmriprep-docker", "--work", str(place / "raw" / "work"))


def test_path_that_no_container_can_mount(place):
    with pytest.raises(UserError, match=r"cannot mount"):
        run(place, "fmriprep-docker", "--derivatives", str(place / "a:b"))

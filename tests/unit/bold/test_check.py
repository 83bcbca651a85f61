"""Each thing that can be wrong with a raw run gets one line that says where and how to fix it."""

import json

import nibabel as nib
import numpy as np
import pytest
from tests.fixtures_presentations import row, shown_run, write_table
from tests.fixtures_settings import words

from boldreel.bold import check, content_hash
from boldreel.data import headers, nifti, presentations, video
from boldreel.errors import UserError

COUNT, T_R = 30, 2.0
STEM = "sub-01_task-train01_run-1"


@pytest.fixture
def bold(tmp_path):
    return write(tmp_path)


def write(folder, seed=0, dtype=np.int16, stem=STEM, ending="nii"):
    data = np.random.default_rng(seed).integers(100, 900, (6, 7, 5, COUNT)).astype(dtype)
    path = folder / f"{stem}_bold.{ending}"
    nifti.save(path, data, np.diag([4.0, 4, 4, 1]), t_r=T_R)
    amend(path)
    return path


def amend(path, **changes):
    about = {"RepetitionTime": T_R, "TaskName": "train01", "SliceTiming": [0, 1, 0.5, 1.5, 0.2]}
    sidecar = path.with_name(path.name.split(".")[0] + ".json")
    sidecar.write_text(json.dumps(about | changes))


SHOWN = row(0.0, COUNT * T_R, "train01.mp4")._replace(origin="events.tsv: row 2")


def films(**durations):
    """The duration of a film by its name, as `check.durations` reads it from files."""
    return lambda name: durations[name.removesuffix(".mp4")]


def check_run(path, shown=(SHOWN,), **more):
    return check.check_run(path, shown=shown, **more)


def refused(path, message, shown=(SHOWN,), where=None, **options):
    with pytest.raises(UserError, match=message) as caught:
        check_run(path, shown, **options)
    assert "\n" not in str(caught.value)
    assert (where or str(path.parent)) in str(caught.value)


def test_a_good_run_passes(bold):
    assert check_run(bold) == []
    assert check_run(bold, duration_of=films(train01=COUNT * T_R)) == []
    assert check_run(bold, ()) == [], "rest"


def test_truncated(bold):
    bold.write_bytes(bold.read_bytes()[:-1000])
    refused(bold, "truncated")


def test_truncated_compressed(tmp_path):
    path = write(tmp_path, ending="nii.gz")
    check_run(path)
    path.write_bytes(path.read_bytes()[:-2000])
    refused(path, "truncated|damaged")


def test_missing(tmp_path):
    refused(tmp_path / "sub-01_task-x_bold.nii", "not found")


def test_repetition_time_contradicts_the_header(bold):
    """BIDS gives the sidecar precedence; the reason is reported with events that then do not fit."""
    amend(bold, RepetitionTime=2.5)
    doubt = "the header says TR 2 s, its sidecar 2.5 s; the sidecar's is taken (BIDS)"
    assert check_run(bold) == [doubt]
    amend(bold, RepetitionTime=1.5)
    message = r"row 2 ends at 60 s, the run after 45 s.*header says TR 2 s, its sidecar 1.5 s"
    refused(bold, message, where="events.tsv")


def test_a_contradicting_header_is_told_once(tmp_path, capsys):
    paths = [write(tmp_path, seed, stem=f"sub-01_task-x_run-{seed}") for seed in (1, 2, 3)]
    for path in paths:
        amend(path, RepetitionTime="2.5")
    labels = [f"task-x_run-{seed}" for seed in (1, 2, 3)]
    check.main(["--bold", *map(str, paths), "--labels", *labels, "--config", words("bold")])
    assert capsys.readouterr().err.count("header says TR 2 s, its sidecar 2.5 s") == 1


def test_slice_timing_does_not_matter_where_it_is_not_used(bold):
    amend(bold, SliceTiming=["?", 7])
    refused(bold, "SliceTiming is no list of numbers")
    assert check_run(bold, slice_timing=False) == []


def test_an_unknown_orientation_is_refused(bold):
    image = nib.Nifti1Image.from_filename(bold, mmap=False)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    values = np.asarray(image.dataobj)
    nib.Nifti1Image(values, None, image.header).to_filename(bold)
    refused(bold, "orientation is unknown.*fslorient")


def test_nifti2_is_read_like_nifti1(tmp_path):
    first, second = (write(tmp_path / name, ending="nii.gz") for name in "ab")
    image = nib.Nifti1Image.from_filename(first)
    again = nib.Nifti2Image(np.asarray(image.dataobj), image.affine)
    again.header["pixdim"] = image.header["pixdim"]
    again.to_filename(second)
    assert headers.is_nifti2(second) and not headers.is_nifti2(first)
    assert check_run(second) == []
    assert content_hash.of_file(first) == content_hash.of_file(second)
    assert headers.count_volumes(second) == COUNT
    assert headers.grid(first) == headers.grid(second)


def test_repetition_time_missing_or_in_milliseconds(bold):
    amend(bold, RepetitionTime=None)
    refused(bold, "RepetitionTime is None")
    amend(bold, RepetitionTime=2000)
    refused(bold, "RepetitionTime is 2000")


def test_slice_timing_of_the_wrong_length_or_unit(bold):
    amend(bold, SliceTiming=[0, 1])
    refused(bold, "SliceTiming has 2 entries, the image 5 slices")
    amend(bold, SliceTiming=[0, 1000, 500, 1500, 200])
    refused(bold, "give seconds")
    amend(bold, SliceEncodingDirection="q")
    refused(bold, "SliceEncodingDirection is q")


def test_shown_past_the_end(bold):
    late = SHOWN._replace(onset=10.0)
    where = "events.tsv: row 2"
    refused(bold, "row 2 ends at 70 s, the run after 60 s", (late,), where)


def test_movie_missing_or_too_short(bold, tmp_path):
    (tmp_path / "stimuli").mkdir()
    missing = check.durations(tmp_path / "stimuli")
    refused(bold, "train01.mp4 was shown but is missing", duration_of=missing)
    short = films(train01=30.0)
    refused(bold, "the movie lasts 30 s", where="events.tsv: row 2", duration_of=short)


def test_durations_of_movies_are_read_from_their_files(tmp_path):
    video.write_mp4(tmp_path / "train01.mp4", np.zeros((24, 16, 16, 3), np.uint8), 8.0)
    assert check.durations(tmp_path)("train01.mp4") == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("film", "shown", "speed"),
    [
        (60.0, 57.6, "1.0417"),  # film on television
        (60.0, 60.0 * 24 / 25 / 1.001, "1.0427"),
        (60.0, 60.0, None),
        (60.0, 55.0, None),  # cut off
        (60.0, 60.0 / 1.001, None),  # below what matters
    ],
)
def test_a_film_that_may_have_been_played_faster(bold, capsys, film, shown, speed):
    given = SHOWN._replace(duration=shown)
    doubts = check_run(bold, (given,), duration_of=films(train01=film))
    assert len(doubts) == (speed is not None)
    if speed:
        assert f"played at {speed} of its speed" in doubts[0] and "column speed" in doubts[0]
        check.tell({doubts[0]: "run"})
        assert capsys.readouterr().err == f"warning: run: {doubts[0]}\n"
        stated = given._replace(speed=film / shown)
        assert not check_run(bold, (stated,), duration_of=films(train01=film))


def test_a_film_that_was_played_slower(bold):
    message = r"the movie lasts 57\.6 s.*write speed 0\.9600"
    refused(bold, message, where="events.tsv: row 2", duration_of=films(train01=57.6))


def test_parts_that_do_not_say_which(bold):
    """Two rows of a film longer than they are: from its beginning, or one after the other?"""
    two = tuple(
        row(onset, 20.0, "train01.mp4")._replace(part_known=False, origin=f"events.tsv: row {line}")
        for line, onset in ((2, 0.0), (3, 30.0))
    )
    message = "row 2 and row 3 show parts of train01.mp4"
    refused(bold, message, two, "events.tsv", duration_of=films(train01=40.0))
    check_run(bold, two, duration_of=films(train01=20.5))
    known = tuple(one._replace(part_known=True) for one in two)
    check_run(bold, known, duration_of=films(train01=40.0))


def test_too_few_volumes(bold):
    refused(bold, "30 volumes, at least 40 are needed", min_volumes=40)


def test_three_dimensions(bold):
    image = nifti.load(bold)
    nifti.save(bold, nifti.values(image)[..., 0], image.affine)
    refused(bold, "four dimensions")


def test_nan_values(tmp_path):
    path = write(tmp_path, dtype=np.float32)
    image = nifti.load(path)
    data = np.array(nifti.values(image))
    data[1, 2, 3, 7] = np.nan
    nifti.save(path, data, image.affine, t_r=T_R)
    refused(path, "1 values are NaN or infinite, the first in volume 7")


def test_constant_run(bold):
    image = nifti.load(bold)
    nifti.save(bold, np.full(image.shape, 5, np.int16), image.affine, t_r=T_R)
    refused(bold, "is 5 everywhere")


def test_the_same_data_under_two_names(tmp_path):
    first = write(tmp_path)
    second = write(tmp_path, stem="sub-01_task-train02_run-1", ending="nii.gz")
    other = write(tmp_path, seed=1, stem="sub-01_task-train03_run-1")
    content_hash.check_duplicates([first, other])
    with pytest.raises(UserError, match="exactly the same data") as caught:
        content_hash.check_duplicates([first, other, second])
    assert first.name in str(caught.value) and second.name in str(caught.value)


def test_runs_that_differ_in_one_value_are_two(tmp_path):
    first = write(tmp_path)
    second = write(tmp_path, stem="sub-01_task-train02_run-1")
    image = nifti.load(second)
    data = np.array(nifti.values(image))
    data[0, 0, 0, 0] += 1
    nifti.save(second, data.astype(np.int16), image.affine, t_r=T_R)
    content_hash.check_duplicates([first, second])


def test_step_lists_what_it_checked(bold, tmp_path, capsys):
    """A localizer, which shows no movie, is checked as well."""
    other = write(tmp_path, seed=1, stem="sub-01_task-localizer")
    table = write_table(tmp_path / "presentations.tsv", {"task-train01_run-1": [SHOWN]})
    labels = ["task-train01_run-1", "task-localizer_run-1"]
    arguments = ["--config", words("bold"), "--bold", str(bold), str(other), "--labels", *labels]
    arguments += ["--presentations", str(table), "--output", str(tmp_path / "checked.json")]
    check.main(arguments)
    assert json.loads((tmp_path / "checked.json").read_text()) == [bold.name, other.name]
    assert "2 runs checked" in capsys.readouterr().out
    write_table(table, {"task-train01_run-1": [SHOWN._replace(onset=30.0)]})
    with pytest.raises(UserError, match="row 2 ends at 90 s, the run after 60 s"):
        check.main(arguments)


def test_stretches_are_checked_against_their_functional_run(bold, tmp_path):
    """Two stretches of one run: both belong to the file that is checked."""
    table = tmp_path / "presentations.tsv"
    halves = [
        shown_run(
            f"task-train01part{k + 1}_run-1",
            [row(30.0 * k, 30.0 + 10 * k, "train01.mp4", 30.0 * k)],
            file="task-train01_run-1",
        )
        for k in (0, 1)
    ]
    presentations.write(table, "01", halves)
    assert len(check.rows_by_file(table)["task-train01_run-1"]) == 2
    arguments = ["--bold", str(bold), "--labels", "task-train01_run-1", "--config", words("bold")]
    with pytest.raises(UserError, match="row 3 ends at 70 s, the run after 60 s"):
        check.main([*arguments, "--presentations", str(table)])

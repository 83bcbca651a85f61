"""Each thing that can be wrong with a raw run gets one line that says where and how to fix it."""

import json

import nibabel as nib
import numpy as np
import pytest
from tests.fixtures_settings import words

from boldreel.bold import check, content
from boldreel.data import headers, nifti
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
    events(path, 0.0, COUNT * T_R)
    return path


def amend(path, **changes):
    about = {"RepetitionTime": T_R, "TaskName": "train01", "SliceTiming": [0, 1, 0.5, 1.5, 0.2]}
    sidecar = path.with_name(path.name.split(".")[0] + ".json")
    sidecar.write_text(json.dumps(about | changes))


def events(path, onset, duration):
    table = events_of(path)
    row = f"{onset}\t{duration}\tmovie\ttrain01.mp4\t0\n"
    table.write_text("onset\tduration\ttrial_type\tstim_file\tstim_onset\n" + row)


def events_of(path):
    return path.with_name(path.name.split("_bold")[0] + "_events.tsv")


def refused(path, message, **options):
    with pytest.raises(UserError, match=message) as caught:
        check.check_run(path, events=events_of(path), **options)
    assert "\n" not in str(caught.value)
    assert str(path.parent) in str(caught.value)


def test_a_good_run_passes(bold):
    check.check_run(bold, events=events_of(bold))
    check.check_run(bold, events=events_of(bold), movies={"train01.mp4": COUNT * T_R})


def test_truncated(bold):
    bold.write_bytes(bold.read_bytes()[:-1000])
    refused(bold, "truncated")


def test_truncated_compressed(tmp_path):
    path = write(tmp_path, ending="nii.gz")
    check.check_run(path)
    path.write_bytes(path.read_bytes()[:-2000])
    refused(path, "truncated|damaged")


def test_missing(tmp_path):
    refused(tmp_path / "sub-01_task-x_bold.nii", "not found")


def test_repetition_time_contradicts_the_header(bold):
    """BIDS gives the sidecar precedence; events that then do not fit are told with the reason."""
    amend(bold, RepetitionTime=2.5)
    doubt = "the header says TR 2 s, its sidecar 2.5 s; the sidecar's is taken (BIDS)"
    assert check.check_run(bold, events=events_of(bold)) == [doubt]
    amend(bold, RepetitionTime=1.5)
    refused(bold, r"row 2 ends at 60 s, the run after 45 s.*header says TR 2 s, its sidecar 1.5 s")


def test_a_contradicting_header_is_told_once(tmp_path, capsys):
    paths = [write(tmp_path, seed, stem=f"sub-01_task-x_run-{seed}") for seed in (1, 2, 3)]
    for path in paths:
        amend(path, RepetitionTime="2.5")
    check.main(["--others", *map(str, paths), "--config", words("bold")])
    assert capsys.readouterr().err.count("header says TR 2 s, its sidecar 2.5 s") == 1


def test_slice_timing_does_not_matter_where_it_is_not_used(bold):
    amend(bold, SliceTiming=["?", 7])
    refused(bold, "SliceTiming is no list of numbers")
    assert check.check_run(bold, events=events_of(bold), slice_timing=False) == []


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
    assert check.check_run(second, events=events_of(second)) == []
    assert content.hash_of(first) == content.hash_of(second)
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


def test_events_past_the_end(bold):
    events(bold, 10.0, COUNT * T_R)
    with pytest.raises(UserError, match="row 2 ends at 70 s, the run after 60 s") as caught:
        check.check_run(bold, events=events_of(bold))
    assert "_events.tsv" in str(caught.value)


def test_movie_missing_or_too_short(bold):
    refused(bold, "movie train01.mp4 is not among", movies={"other.mp4": 100.0})
    refused(bold, "the movie lasts 30 s", movies={"train01.mp4": 30.0})


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
    table = events_of(bold)
    row = f"0\t{shown}\ttrain01.mp4"
    table.write_text(f"onset\tduration\tstim_file\n{row}\n")
    doubts = check.check_run(bold, events=table, movies={"train01.mp4": film})
    assert len(doubts) == (speed is not None)
    if speed:
        assert f"played at {speed} of its speed" in doubts[0] and "column speed" in doubts[0]
        check.tell({doubts[0]: table})
        assert capsys.readouterr().err == f"warning: {table}: {doubts[0]}\n"
        table.write_text(f"onset\tduration\tstim_file\tspeed\n{row}\t{film / shown}\n")
        assert not check.check_run(bold, events=table, movies={"train01.mp4": film})


def test_a_film_that_was_played_slower(bold):
    refused(bold, r"the movie lasts 57\.6 s.*write speed 0\.9600", movies={"train01.mp4": 57.6})


def test_parts_that_do_not_say_which(bold):
    """Two rows of a film longer than they are: from its beginning, or one after the other?"""
    table = events_of(bold)
    table.write_text("onset\tduration\tstim_file\n0\t20\ttrain01.mp4\n30\t20\ttrain01.mp4\n")
    refused(bold, "rows 2 and 3 show parts of train01.mp4", movies={"train01.mp4": 40.0})
    check.check_run(bold, events=table, movies={"train01.mp4": 20.5})
    rows = "0\t20\ttrain01.mp4\t0\n30\t20\ttrain01.mp4\t0\n"
    table.write_text(f"onset\tduration\tstim_file\tstim_onset\n{rows}")
    check.check_run(bold, events=table, movies={"train01.mp4": 40.0})


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
    content.check_duplicates([first, other])
    with pytest.raises(UserError, match="exactly the same data") as caught:
        content.check_duplicates([first, other, second])
    assert first.name in str(caught.value) and second.name in str(caught.value)


def test_runs_that_differ_in_one_value_are_two(tmp_path):
    first = write(tmp_path)
    second = write(tmp_path, stem="sub-01_task-train02_run-1")
    image = nifti.load(second)
    data = np.array(nifti.values(image))
    data[0, 0, 0, 0] += 1
    nifti.save(second, data.astype(np.int16), image.affine, t_r=T_R)
    content.check_duplicates([first, second])


def test_step_lists_what_it_checked(bold, tmp_path, capsys):
    """Events of a localizer, whose rows name no movie, are nothing to the check."""
    other = write(tmp_path, seed=1, stem="sub-01_task-localizer")
    events_of(other).write_text("onset\tduration\ttrial_type\n0\t2\tface\n")
    arguments = ["--config", words("bold"), "--shown", str(bold)]
    arguments += ["--events", str(events_of(bold)), "--others", str(other)]
    check.main([*arguments, "--output", str(tmp_path / "checked.json")])
    assert json.loads((tmp_path / "checked.json").read_text()) == [bold.name, other.name]
    assert "2 runs checked" in capsys.readouterr().out
    with pytest.raises(UserError, match="1 runs with --shown, 0 files with --events"):
        check.main(["--config", words("bold"), "--shown", str(bold)])

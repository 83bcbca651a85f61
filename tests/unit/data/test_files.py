"""Files as they are distributed: not fetched, or in another encoding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from boldreel.data import bids, bids_inheritance, cifti, event_files, files, headers, nifti, video
from boldreel.errors import UserError
from boldreel.study import subjects

KEY = "MD5E-s1048576--d41d8cd98f00b204e9800998ecf8427e.nii.gz"
LFS = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
NOT_FETCHED = {
    "link": (None, r"dangling link of git-annex.*datalad get .*git annex get"),
    "unlocked": (f"/annex/objects/{KEY}\n", r"pointer of git-annex.*datalad get .*git annex get"),
    "no links": (
        f"../../.git/annex/objects/aa/bb/{KEY}/{KEY}",
        r"pointer of git-annex.*datalad get",
    ),
    "lfs": (LFS, r"pointer of Git LFS.*git lfs pull --include"),
}
READERS = {
    "sub-01_task-a_bold.nii.gz": (files.check_source, nifti.load, headers.count_volumes),
    "sub-01_T1w.nii": (files.check_source, nifti.load),
    "a_bold.dtseries.nii": (files.check_source, cifti.load, cifti.outline),
    "movie.mp4": (files.check_source, video.probe),
    "sub-01_task-a_bold.json": (bids_inheritance.read_sidecar,),
    "sub-01_task-a_events.tsv": (event_files.columns, lambda path: list(event_files.rows(path))),
}


@pytest.mark.parametrize("kind", NOT_FETCHED)
@pytest.mark.parametrize("name", READERS)
def test_what_was_not_fetched_is_named_with_the_command(tmp_path, kind, name):
    text, message = NOT_FETCHED[kind]
    path = tmp_path / name
    if text is None:
        path.symlink_to(f"../.git/annex/objects/aa/bb/{KEY}/{KEY}")
    else:
        path.write_text(text)
    assert not files.present(path)
    for reader in READERS[name]:
        with pytest.raises(UserError, match=message) as error:
            reader(path)
        assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_what_is_there_is_no_pointer(tmp_path):
    path = tmp_path / "x.json"
    assert files.unfetched(path) == "" and not files.present(path)
    path.write_text("{}")
    assert files.present(path)
    (tmp_path / "link").symlink_to("x.json")
    assert files.present(tmp_path / "link")
    (tmp_path / "broken").symlink_to("elsewhere.json")
    with pytest.raises(UserError, match=r"a dangling link \(elsewhere.json\); correct it"):
        files.check_fetched(tmp_path / "broken")


def test_raw_runs_that_are_pointers_are_not_there(tmp_path):
    path = tmp_path / "sub-01/func/sub-01_task-a_bold.nii.gz"
    path.parent.mkdir(parents=True)
    path.write_text(LFS)
    assert not bids.has_bold(tmp_path, "01") and bids.run_keys(tmp_path, "01") == {("a", "", 1)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_texts_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    sidecar = tmp_path / "x_bold.json"
    text = json.dumps({"RepetitionTime": 2, "InstitutionName": "Universität"}, ensure_ascii=False)
    sidecar.write_text(text, encoding=encoding)
    assert bids_inheritance.read_sidecar(sidecar) == {
        "RepetitionTime": 2,
        "InstitutionName": "Universität",
    }
    events = tmp_path / "x_events.tsv"
    rows = "onset\tduration\tstim_file\n0\t10\tmöwe.mp4\n"
    events.write_text(rows, encoding=encoding)
    assert [cells["stim_file"] for _, cells in event_files.rows(events)] == ["möwe.mp4"]
    table = tmp_path / "subjects.tsv"
    table.write_text("subject\tnote\n01\tmüde\n02\t\n", encoding=encoding)
    assert subjects.read(table) == ["01", "02"]


def test_an_encoding_that_a_block_splits(tmp_path, monkeypatch):
    """A letter of two bytes at the end of what is read at once."""
    monkeypatch.setattr(files, "_BLOCK", 3)
    path = tmp_path / "x.txt"
    path.write_text("abäö", encoding="utf-8")
    assert files.encoding_of(path) == "utf-8-sig" and files.read_text(path) == "abäö"
    path.write_text("abäö", encoding="latin-1")
    assert files.encoding_of(path) == "latin-1" and files.read_text(path) == "abäö"


def test_numbers_that_were_written_as_text(tmp_path):
    path = tmp_path / "x_bold.json"
    path.write_text('{"RepetitionTime": "2.0", "SliceTiming": ["0", "0.5"], "StartTime": "soon"}')
    found = bids_inheritance.read_sidecar(path)
    assert found == {"RepetitionTime": 2.0, "SliceTiming": [0.0, 0.5], "StartTime": "soon"}

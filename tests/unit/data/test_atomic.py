"""Results are there whole or not at all; what the disk says is told in one line of the result."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from boldreel.data import atomic
from boldreel.errors import UserError


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@pytest.mark.parametrize("kind", [atomic.file, atomic.folder])
def test_nothing_is_left_of_what_failed(tmp_path: Path, kind) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RuntimeError, match="unfinished"), kind(tmp_path / "result") as aside:
        (aside if kind is atomic.file else aside / "part").write_text("half")
        raise RuntimeError("unfinished")
    assert everything(tmp_path) == set()


def test_what_was_there_stays_until_its_successor_is_whole(tmp_path: Path) -> None:
    (tmp_path / "result").write_text("old")
    with pytest.raises(RuntimeError), atomic.file(tmp_path / "result") as aside:
        aside.write_text("new, in part")
        raise RuntimeError
    assert (tmp_path / "result").read_text() == "old"
    with atomic.folder(tmp_path / "folder") as aside:
        (aside / "a").write_text("1")
    with atomic.folder(tmp_path / "folder") as aside:
        (aside / "b").write_text("2")
    assert everything(tmp_path) == {"result", "folder", "folder/b"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("kind", [atomic.file, atomic.folder])
def test_what_the_disk_says_is_one_line_of_the_result(tmp_path: Path, kind, code: int) -> None:  # type: ignore[no-untyped-def]
    target = tmp_path / "result"
    with pytest.raises(UserError) as caught, kind(target) as aside:
        raise OSError(code, os.strerror(code), str(aside))
    assert str(caught.value).startswith(f"{target}: cannot be written")
    assert everything(tmp_path) == set()


def test_a_part_of_a_folder_is_told_under_the_folders_own_name(tmp_path: Path) -> None:
    target = tmp_path / "result"
    with (
        pytest.raises(UserError) as caught,
        atomic.folder(target) as aside,
        atomic.file(aside / "part.npy") as part,
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(part))
    assert str(caught.value).startswith(f"{target / 'part.npy'}: cannot be written")
    assert everything(tmp_path) == set()


@pytest.mark.parametrize(
    "message",
    [
        "[enforce fail at inline_container.cc:815] . PytorchStreamWriter failed: file write failed",
        "Error while serializing: I/O error: No space left on device (os error 28)",
    ],
)
def test_a_full_disk_is_known_by_what_libraries_make_of_it(tmp_path: Path, message: str) -> None:
    with pytest.raises(UserError, match="no space is left"), atomic.file(tmp_path / "model"):
        raise RuntimeError(message)


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    """A file that may not be read is no fault of the disk that is written to."""
    with pytest.raises(PermissionError), atomic.file(tmp_path / "result"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/movie.mp4")
    with pytest.raises(ValueError, match="wrong"), atomic.file(tmp_path / "result"):
        raise ValueError("wrong")


def test_what_is_unfinished_is_known_by_its_name(tmp_path: Path) -> None:
    with atomic.file(tmp_path / "x_bold.nii") as aside:
        assert atomic.is_unfinished(aside)
        assert atomic.final_path(aside) == aside.with_name("x_bold.nii")
        assert atomic.final_path(aside / "a" / "b") == aside.with_name("x_bold.nii") / "a" / "b"
        aside.touch()
    for name in ("x_bold.nii", ".hidden", ".abc.x", ".0123abcd.", "0123abcd.x"):
        assert not atomic.is_unfinished(Path(name))
        assert atomic.final_path(Path("/a", name, "b")) == Path("/a", name, "b")


def test_a_full_disk_of_temporary_files_is_named(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Not the result, on whose disk there is room."""
    import shutil
    import tempfile
    from types import SimpleNamespace

    from boldreel import errors

    small = tmp_path / "small"
    small.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(small))
    full = {str(small)}
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: SimpleNamespace(free=0 if str(path) in full else 1e9)
    )
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(errors.write_error(error, tmp_path / "a" / "b.npy")).startswith(f"{small}: no space")
    assert "set TMPDIR" in str(errors.write_error(error, tmp_path / "a" / "b.npy"))
    full.add(str(tmp_path))
    assert str(errors.write_error(error, tmp_path / "a" / "b.npy")).startswith(str(tmp_path / "a"))

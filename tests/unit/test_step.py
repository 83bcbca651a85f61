"""How a step leaves: one line for a user's mistake, 143 after SIGTERM."""

import subprocess
import sys

import pytest


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_user_error_is_one_line_and_no_traceback():
    done = run(
        "from boldreel import step\nfrom boldreel.errors import UserError\n"
        "def main(): raise UserError('x.nii: truncated; copy it again')\nstep.run(main)"
    )
    assert done.returncode == 2
    assert done.stderr == "error: x.nii: truncated; copy it again\n"


def test_sigterm_ends_with_143():
    done = run(
        "import os, signal\nfrom boldreel import step\n"
        "def main(): os.kill(os.getpid(), signal.SIGTERM)\nstep.run(main)"
    )
    assert done.returncode == 143


def test_config_must_be_a_json_object():
    done = run("from boldreel import step\nstep.parser('x').parse_args(['--config', '[1]'])")
    assert done.returncode == 2
    assert "JSON object" in done.stderr


def test_what_the_disk_says_is_one_line():
    for code, word in (
        ("ENOSPC", "no space is left"),
        ("EACCES", "no permission to read or write"),
    ):
        done = run(
            "import errno\nfrom boldreel import step\n"
            f"def main(): raise OSError(errno.{code}, 'x', '/data/run.nii')\nstep.run(main)"
        )
        assert done.returncode == 2
        assert done.stderr.startswith("error: /data/run.nii: ") and word in done.stderr
        assert done.stderr.count("\n") == 1


def test_results_are_for_owner_and_group_unless_told_otherwise(tmp_path, monkeypatch):
    """Brain data: a umask that others could read with is narrowed, one that is narrower stays."""
    program = (
        "import os\nfrom boldreel import step\nfrom boldreel.data import atomic\n"
        "def main(): atomic.write_text('{}/a/b.txt', 'x')\nos.umask(0o{})\nstep.run(main)"
    )
    for asked, own, mode in (("", "022", 0o640), ("", "077", 0o600), ("022", "077", 0o644)):
        if asked:
            monkeypatch.setenv("BOLDREEL_UMASK", asked)
        folder = tmp_path / f"{asked}-{own}"
        assert run(program.format(folder, own)).returncode == 0
        assert (folder / "a/b.txt").stat().st_mode & 0o777 == mode
        assert (folder / "a").stat().st_mode & 0o777 == mode | (mode & 0o444) >> 2
    monkeypatch.setenv("BOLDREEL_UMASK", "all")
    done = run(program.format(tmp_path, "022"))
    assert done.returncode == 2 and "three octal digits" in done.stderr


def test_ctrl_c_used_up_memory_and_bad_values_are_one_line():
    for raised, code, word in (
        ("KeyboardInterrupt", 130, "stopped"),
        ("MemoryError('2 TiB')", 2, "memory is used up (2 TiB)"),
    ):
        done = run(f"from boldreel import step\ndef main(): raise {raised}\nstep.run(main)")
        assert done.returncode == code and word in done.stderr and done.stderr.count("\n") == 1
    done = run("from boldreel import step\nstep.parser('x').parse_args(['--config', '[' * 5000])")
    assert done.returncode == 2 and "too many brackets" in done.stderr


def test_a_negative_seed_is_refused():
    from boldreel.errors import UserError
    from boldreel.evaluate.settings import EvaluateSettings
    from boldreel.settings import read

    with pytest.raises(UserError, match=r"evaluate\.seed is -1; it must be at least 0"):
        read(EvaluateSettings, {"seed": -1}, "evaluate")

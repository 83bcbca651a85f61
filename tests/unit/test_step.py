"""How a step leaves: one line for a user's mistake, 143 after SIGTERM."""

import subprocess
import sys


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

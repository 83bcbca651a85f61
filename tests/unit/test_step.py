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

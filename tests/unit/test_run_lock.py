"""One run at a time in a folder of results."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from boldreel import run_lock
from boldreel.errors import UserError

HOLD = """
import sys, time
from boldreel import run_lock
held = run_lock.hold(sys.argv[1], {"working_directory": "/somewhere"})
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the folder."""
    library = str(Path(run_lock.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": library},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_is_refused_with_who_holds_it(tmp_path, other):
    with pytest.raises(UserError) as told:
        run_lock.hold(tmp_path, {})
    text = str(told.value)
    assert "\n" not in text and str(tmp_path) in text
    assert f"process {other.pid}" in text and "from /somewhere" in text and "since 20" in text


def test_a_run_that_was_killed_holds_nothing(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    held = run_lock.hold(tmp_path, {"working_directory": "/here"})
    assert run_lock.last(tmp_path)["working_directory"] == "/here"
    held.close()
    run_lock.hold(tmp_path, {}).close()


def test_where_the_file_system_has_no_locks_a_warning_says_so(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    run_lock.hold(tmp_path, {}).close()
    assert "has no locks" in capsys.readouterr().err


def test_other_code_or_settings_are_told_of_another_working_directory_alone(tmp_path):
    place, gone = tmp_path / "first", tmp_path / "gone"
    place.mkdir()
    first = {"working_directory": str(place), "repository": "/r", "code": "1", "configuration": "1"}
    run_lock.hold(tmp_path, first).close()
    second = first | {"working_directory": str(tmp_path)}
    assert run_lock.difference(tmp_path, second) is None
    assert run_lock.difference(tmp_path, first | {"code": "2"}) is None
    line = run_lock.difference(tmp_path, second | {"code": "2"})
    assert str(place) in line and "different code;" in line
    line = run_lock.difference(tmp_path, second | {"code": "2", "configuration": "2"})
    assert "different code and configuration;" in line
    run_lock.hold(tmp_path, first | {"working_directory": str(gone)}).close()
    assert run_lock.difference(tmp_path, second | {"code": "2"}) is None


def test_what_is_half_written_is_no_record(tmp_path):
    assert run_lock.last(tmp_path) == {}
    for text in ('{"host": ', "[]", '{"working_directory": 3}'):
        (tmp_path / run_lock.NAME).write_text(text)
        assert run_lock.last(tmp_path) == {}
        assert run_lock.difference(tmp_path, {"working_directory": "/here"}) is None


def test_a_lock_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / run_lock.NAME).mkdir()
    with pytest.raises(UserError, match=r"\.lock: cannot be written .*; make it writable"):
        run_lock.hold(tmp_path, {})


def test_code_is_library_and_rules_and_not_where_they_are(tmp_path):
    for name in ("a", "b"):
        rules = tmp_path / name / "workflow" / "rules"
        rules.mkdir(parents=True)
        (rules / "all.smk").write_text("rule all:\n")
    one, two = (run_lock.about(tmp_path / name, {"seed": 1}) for name in ("a", "b"))
    assert one["code"] == two["code"] and one["configuration"] == two["configuration"]
    (tmp_path / "b" / "workflow" / "rules" / "all.smk").write_text("rule some:\n")
    assert run_lock.about(tmp_path / "b", {"seed": 1})["code"] != one["code"]
    assert run_lock.about(tmp_path / "a", {"seed": 2})["configuration"] != one["configuration"]
    assert json.dumps(one)

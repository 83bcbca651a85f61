"""GPU leases: one process a card, whoever made the lock file."""

from __future__ import annotations

import fcntl
import os

from boldreel.training import device


def test_a_card_is_leased_once(tmp_path):
    card, descriptor = device._lock_one(["a"], tmp_path)
    assert card == "a" and device._lock_one(["a"], tmp_path) is None
    assert device._lock_one(["a", "b"], tmp_path)[0] == "b"
    os.close(descriptor)
    assert device._lock_one(["a"], tmp_path)[0] == "a"


def test_another_users_lock_file_needs_no_writing(tmp_path):
    """A file in the shared temporary folder belongs to who came first: it is opened to read alone."""
    (tmp_path / "boldreel-a.lock").write_text("")
    _, descriptor = device._lock_one(["a"], tmp_path)
    assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    os.close(descriptor)

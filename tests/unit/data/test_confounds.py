"""Confounds tables are checked when they are read."""

from __future__ import annotations

import numpy as np
import pytest

from boldreel.data import confounds
from boldreel.errors import UserError


def test_confounds_file_is_checked(tmp_path):
    path = tmp_path / "c.tsv"
    with pytest.raises(UserError, match="not found"):
        confounds.read(path, 2)
    path.write_text("a\tb\nn/a\t1\n2\t3\n")
    table = confounds.read(path, 2)
    assert np.isnan(table["a"][0]) and table["b"].tolist() == [1.0, 3.0]
    with pytest.raises(UserError, match="2 rows for 3 volumes"):
        confounds.read(path, 3)
    with pytest.raises(UserError, match="no column trans_x"):
        confounds.read(path, 2, ("a", "trans_x"))
    path.write_text("a\nfast\n1\n")
    with pytest.raises(UserError, match="fast"):
        confounds.read(path, 2)
    path.write_text("a\tb\n1\n2\n")
    with pytest.raises(UserError, match="line 2 has 1 cells for 2 columns"):
        confounds.read(path, 2)
    path.write_bytes(b"a\n\xff\n1\n")
    with pytest.raises(UserError, match="preprocess the run again"):
        confounds.read(path, 2)
    path.write_text("a\n1\n2\n\n")
    assert confounds.read(path, 2)["a"].tolist() == [1.0, 2.0]
    path.write_text("")
    with pytest.raises(UserError, match="0 rows for 2 volumes"):
        confounds.read(path, 2)

"""What the tests of the study share."""

from pathlib import Path

import pytest
from tests import fixtures_bids


@pytest.fixture
def tree(tmp_path) -> Path:
    """A BIDS data set of two subjects who watch; the test may change it."""
    return fixtures_bids.write_tree(tmp_path)

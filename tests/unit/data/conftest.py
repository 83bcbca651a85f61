"""A small invented study, written once."""

from tests.fixtures_study import study  # noqa: F401 - fixture

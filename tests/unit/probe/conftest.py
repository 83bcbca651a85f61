"""A small invented study, written once."""

from tests.fixtures_study import pretrained, study, study_writer  # noqa: F401 - fixtures

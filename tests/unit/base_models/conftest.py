"""A hub's cache that holds tiny models in the layout, names and quirks of the real repositories."""

from __future__ import annotations

import pytest
from tests.tools.tiny_hub import Hub, build


@pytest.fixture(scope="session")
def full_hub(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    """All of them; not to be changed."""
    tmp = tmp_path_factory.mktemp("weights")
    return build(tmp_path_factory.mktemp("huggingface"), tmp)


@pytest.fixture
def hub(full_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The same, named by the environment of a process that may not ask the network."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(full_hub.home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return full_hub

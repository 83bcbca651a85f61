"""Settings of retrieval scores, a part of the section `evaluate`: all scores are in one table."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.settings import from_workflow
from boldreel.stats.settings import InferenceSettings


@dataclass(frozen=True)
class RetrievalSettings(InferenceSettings):
    """The keys of `evaluate` that retrieval uses."""

    dataset: str = from_workflow("")
    method: str = from_workflow("mindvideo")
    combination: tuple[str, ...] = from_workflow(())

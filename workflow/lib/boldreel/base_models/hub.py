"""Requests to the Hugging Face hub: the files of a model, and the download of those that are read.

Takes a `Repository`; returns file names, or a folder in the hub's cache. huggingface_hub is imported only
for a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from boldreel.base_models import cache
from boldreel.base_models.names import Repository
from boldreel.errors import write_error


class UnknownModel(Exception):
    """The hub has no such model or revision, or it is private; the message says which."""


class Unreachable(Exception):
    """The hub could not be asked; the message says why."""


def listing(repository: Repository, timeout: float | None = None) -> list[str]:
    """Names of all files of a model on the hub.

    Parameters
    ----------
    timeout : seconds to wait for an answer; None is huggingface_hub's own.

    Raises
    ------
    UnknownModel, Unreachable : see there.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            GatedRepoError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError:
        raise Unreachable("huggingface_hub is not installed here") from None
    try:
        info = HfApi().model_info(repository.id, revision=repository.revision, timeout=timeout)
    except GatedRepoError:
        raise UnknownModel(
            f"the hub asks to accept the terms of {repository.id} first; do so on its page, then log "
            "in with `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise UnknownModel(
            f"no such folder, and the hub has no model {repository.id}, or keeps it private; check the "
            "spelling, or log in with `hf auth login`"
        ) from None
    except RevisionNotFoundError:
        raise UnknownModel(
            f"the hub's model {repository.id} has no revision {repository.revision}; name a branch, tag "
            "or commit that it has"
        ) from None
    except Exception as error:  # of the network: which they are depends on what carries the request
        raise Unreachable(_short(error)) from None
    return [file.rfilename for file in info.siblings or []]


def download(repository: Repository, names: Sequence[str]) -> Path:
    """Download files of a model into the cache unless they are there; return their folder.

    Raises
    ------
    Unreachable : the connection broke off.
    UserError : the cache cannot be written to.
    """
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            repository.id,
            revision=repository.revision,
            allow_patterns=list(names),
            cache_dir=cache.home(),
        )
    except Exception as error:  # as above, and of a disk that is full
        raise write_error(error, cache.home()) or Unreachable(_short(error)) from None
    return Path(found)


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"

"""Names of base models: a folder, or `owner/name` or `owner/name@revision` of the Hugging Face hub.

Takes what stands in the configuration's `models`; returns a path or a `Repository`, or one line on what is
wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from boldreel.errors import UserError

_ID = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?", re.ASCII)
_REVISION = re.compile(r"[\w][\w./-]*", re.ASCII)


@dataclass(frozen=True)
class Repository:
    """A model of the hub. revision : a branch, tag or commit; None is the branch `main`."""

    id: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.id if self.revision is None else f"{self.id}@{self.revision}"


def fault(role: str, name: object, what: str) -> UserError:
    """UserError in one line about a base model named in the configuration's `models`."""
    return UserError(f"models.{role}: {name}: {what}")


def parse(role: str, name: str | Path) -> Path | Repository:
    """The folder or the model of the hub that a name refers to.

    Parameters
    ----------
    role : key of the configuration's `models`, for the message.
    name : a folder that is there comes before a model of the hub.

    Raises
    ------
    UserError : it is a path at which there is no folder, or no name that the hub could have.
    """
    text = str(name)
    if Path(text).is_dir():
        return Path(text)
    repository, at, revision = text.partition("@")
    if Path(text).exists():
        raise fault(role, name, "a file, where a folder is needed; name the folder that holds it")
    if text.startswith((".", "/", "~")) or repository.count("/") > 1 or "\\" in text:
        raise fault(role, name, "no such folder; check the path in the configuration")
    wrong = not _ID.fullmatch(repository) or "--" in repository or ".." in text
    if wrong or (at and not _REVISION.fullmatch(revision)):
        raise fault(
            role,
            name,
            "no such folder, and not a name on the hub; give a folder, owner/name or owner/name@revision",
        )
    return Repository(repository, revision or None)

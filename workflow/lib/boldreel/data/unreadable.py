"""What can be wrong with a model of others, in one line.

Takes what opening it raised; returns the first line of the reason. Nothing pickled is ever executed.
"""

from __future__ import annotations

import pickle

from safetensors import SafetensorError

# What opening a model raises where its files are no such model, are damaged, or would have to be executed.
ERRORS = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,
    ImportError,
    SafetensorError,
    pickle.UnpicklingError,
)


def reason(error: BaseException, longest: int = 160) -> str:
    """The first line of what made weights unreadable.

    Of a pickle torch says how to execute it all the same, which is no advice to pass on.
    """
    if isinstance(error, pickle.UnpicklingError):
        return "a damaged pickle, or one of more than tensors, which is never executed: take safetensors"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:longest]

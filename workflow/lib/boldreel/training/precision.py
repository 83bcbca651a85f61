"""The float type in which a frozen network computes.

Takes the name of a precision and a device; returns a torch float type. Half the bytes are twice as fast
only where the hardware multiplies such numbers itself: elsewhere they are slower than float32.
"""

from __future__ import annotations

import torch

DTYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def has_matrix_units() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware (AMX)."""
    return bool(torch.cpu._is_amx_tile_supported())


def dtype(name: str, device: torch.device) -> torch.dtype:
    """The float type that a precision means on a device.

    ``auto`` is bfloat16 on graphics cards and processors with units for it, float32 elsewhere.
    """
    if name != "auto":
        return DTYPES[name]
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = has_matrix_units()
    return torch.bfloat16 if fast else torch.float32

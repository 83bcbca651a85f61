"""Optical flow of clips.

Takes uint8 clips; returns the flow between neighbouring frames at a fixed size. The flow is TV-L1 (Zach, Pock
and Bischof 2007, DAGM, LNCS 4713, 214-223) from coarse to fine, computed for many pairs of frames at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

SIDE = 64  # pixels of the square that clips are brought to: an end-point error depends on it
_LIGHT = (0.2125, 0.7154, 0.0721)  # of red, green and blue (ITU-R BT.709)
_ATTACHMENT, _TIGHTNESS = 15.0, 0.3
_WARPS, _ITERATIONS, _PROJECTIONS = 5, 10, 2
_STEP = 0.25
_COARSEST = 16  # pixels
_AT_ONCE = 24  # frames of SIDE: what fits into a processor's cache


def flows(clips: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Flow from each frame to the next, in pixels of a square of `side`.

    Parameters
    ----------
    clips : uint8 (n, F, h, w, 3).

    Returns
    -------
    float16 (n, F - 1, 2, side, side), rows and columns: frame k + 1 at x + flow looks like frame k at x.
    """
    import torch
    from torch.nn.functional import interpolate

    n, frames = clips.shape[:2]
    out = np.zeros((n, frames - 1, 2, side, side), np.float16)
    if frames < 2:
        return out
    weights = torch.tensor(_LIGHT) / 255
    each = max(_AT_ONCE * SIDE**2 // (frames * side**2), 1)
    moving = np.array([k for k in range(n) if (clips[k][1:] != clips[k][:-1]).any()], dtype=int)
    for low in range(0, len(moving), each):
        rows = moving[low : low + each]
        part = torch.from_numpy(np.ascontiguousarray(clips[rows]))
        gray = (part.float() @ weights).flatten(0, 1)[:, None]
        # averaging over pixels where they become fewer
        gray = interpolate(gray, (side, side), mode="bilinear", antialias=True, align_corners=False)
        gray = gray[:, 0].unflatten(0, (-1, frames))
        found = estimate(gray[:, :-1].flatten(0, 1), gray[:, 1:].flatten(0, 1))
        out[rows] = found.unflatten(0, (-1, frames - 1)).numpy()
    return out


def estimate(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """TV-L1 flow (n, 2, h, w) in pixels between pictures (n, h, w) of brightness 0 to 1."""
    import torch
    from torch.nn.functional import avg_pool2d, interpolate

    pyramid = [(first, second)]
    while min(pyramid[-1][0].shape[1:]) >= 2 * _COARSEST:
        one, other = (avg_pool2d(picture[:, None], 2)[:, 0] for picture in pyramid[-1])
        pyramid.append((one, other))
    flow = torch.zeros(len(first), 2, *pyramid[-1][0].shape[1:])
    for one, other in reversed(pyramid):
        if flow.shape[2:] != one.shape[1:]:
            ratio = torch.tensor(one.shape[1:]) / torch.tensor(flow.shape[2:])
            flow = interpolate(flow, one.shape[1:], mode="bilinear", align_corners=False)
            flow = flow * ratio.reshape(1, 2, 1, 1)
        flow = _refine(one, other, flow)
    return flow


def _refine(first: torch.Tensor, second: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """The flow of one level: warps, each followed by alternating data and smoothness steps."""
    import torch

    bound, scale = _ATTACHMENT * _TIGHTNESS, _STEP / _TIGHTNESS
    # Components, along each axis, of the dual and of differences: written in place, twenty times a warp.
    dual = torch.zeros(len(flow), 2, 2, *flow.shape[2:])
    change = torch.zeros_like(dual)
    for _ in range(_WARPS):
        warped = _warp(second, flow)
        slope = torch.stack(torch.gradient(warped, dim=(1, 2)), dim=1)
        power = slope.square().sum(1, keepdim=True)
        power = torch.where(power == 0, 1.0, power)
        rest = (warped - first)[:, None] - (slope * flow).sum(1, keepdim=True)
        for _ in range(_ITERATIONS):
            # data: the point on the line of constant brightness, or a bounded step towards it
            off = (slope * flow).sum(1, keepdim=True).add_(rest)
            data = flow - slope * off.div_(power).clamp_(-bound, bound)
            flow = data
            # smoothness: total variation, by projections of its dual (Chambolle 2004)
            for _ in range(_PROJECTIONS):
                _differences(flow, change)
                norm = change[:, :, 0].square().addcmul_(change[:, :, 1], change[:, :, 1])
                norm = norm.sqrt_().mul_(scale).add_(1)
                dual.sub_(change, alpha=_STEP).div_(norm[:, :, None])
                flow = _divergence(dual).add_(data)
    return flow


def _warp(picture: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """The picture (n, h, w) as seen at x + flow; beyond its edge it goes on as at the edge."""
    import torch
    from torch.nn.functional import grid_sample

    height, width = picture.shape[1:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    y = (rows + flow[:, 0]) * 2 / (height - 1) - 1
    x = (columns + flow[:, 1]) * 2 / (width - 1) - 1
    grid = torch.stack((x, y), dim=-1)
    shown = grid_sample(
        picture[:, None], grid, mode="bilinear", padding_mode="border", align_corners=True
    )
    return shown[:, 0]


def _differences(flow: torch.Tensor, out: torch.Tensor) -> None:
    """Forward differences (n, 2, 2, h, w) of both components along both axes; the far edge stays 0."""
    import torch

    torch.sub(flow[:, :, 1:], flow[:, :, :-1], out=out[:, :, 0, :-1])
    torch.sub(flow[..., 1:], flow[..., :-1], out=out[:, :, 1, :, :-1])


def _divergence(dual: torch.Tensor) -> torch.Tensor:
    """Minus the adjoint's sum over axes: what the dual adds to each component, (n, 2, h, w)."""
    out = (dual[:, :, 0] + dual[:, :, 1]).neg_()
    out[:, :, 1:] += dual[:, :, 0, :-1]
    out[..., 1:] += dual[:, :, 1, :, :-1]
    return out

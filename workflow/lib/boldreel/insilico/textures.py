"""Background textures of the embedded world, cut from photographs that scikit-image ships.

Takes the photographs out of the installed package (no download); returns one RGB texture per
background name. Each texture is the photograph's luminance, low-passed and painted between two muted
tones: the eye tells the six apart at once and no object colour is lost in one of them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Texture(NamedTuple):
    """Where a texture comes from and how it is painted."""

    photograph: str  # file in skimage/data
    box: tuple[int, int, int, int]  # left, top, right, bottom in pixels of the photograph
    scale: float  # photograph pixels per texture pixel
    tone: tuple[float, float, float]  # mean colour, RGB in 0..1
    contrast: float  # standard deviation of luminance, in 0..1


TEXTURES = {
    "grass": Texture("grass.png", (0, 0, 512, 512), 2.0, (0.16, 0.36, 0.13), 0.060),
    "brick": Texture("brick.png", (0, 0, 512, 512), 2.0, (0.46, 0.22, 0.16), 0.075),
    "gravel": Texture("gravel.png", (0, 0, 512, 512), 1.6, (0.46, 0.47, 0.48), 0.070),
    "fur": Texture("chelsea.png", (120, 0, 330, 300), 1.4, (0.60, 0.47, 0.32), 0.070),
    "space": Texture("hubble_deep_field.jpg", (0, 0, 1000, 872), 2.5, (0.07, 0.07, 0.15), 0.055),
    "tissue": Texture("ihc.png", (0, 0, 512, 512), 2.0, (0.43, 0.33, 0.52), 0.070),
}


@cache
def texture(name: str) -> np.ndarray:
    """One background texture.

    Returns
    -------
    float32 array (height, width, 3), RGB, 0..1, both sides at least 128 pixels.
    """
    import skimage
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    recipe = TEXTURES[name]
    path = Path(skimage.__file__).parent / "data" / recipe.photograph
    with Image.open(path) as photograph:
        grey = photograph.convert("L").crop(recipe.box)
    size = (round(grey.width / recipe.scale), round(grey.height / recipe.scale))
    detail = np.asarray(grey.resize(size, Image.Resampling.LANCZOS), dtype=np.float32)
    # Slow shading of the photograph goes (crops would differ in mean), and so does pixel noise.
    detail = gaussian_filter(detail, 1.3) - gaussian_filter(detail, 24.0)
    detail = np.clip(detail / detail.std(), -2.5, 2.5) * recipe.contrast
    tone = np.array(recipe.tone, dtype=np.float32)
    # Light parts are painted in the texture's own hue, half way to grey.
    painted = tone + detail[..., None] * (0.5 + 0.5 * tone / tone.mean())
    return np.clip(painted, 0, 1).astype(np.float32)

"""The tiny base model of the generator's tests."""

from tests.unit.generator.conftest import base_folder, unet

__all__ = ["base_folder", "unet"]

"""What is read of clips from a subject's responses: estimates of a packed network's scores.

Takes windows of BOLD, the subject's encoder and decoder of sketches; returns (n, 2, K), estimates and
reliabilities. Reliabilities are those of left-out predictions of training clips; no test clip is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from boldreel.data import weights
from boldreel.errors import UserError
from boldreel.models.decoder import Deviations, LinearDecoder
from boldreel.models.encoder import SpatioTemporalEncoder
from boldreel.models.estimates import Reliability

if TYPE_CHECKING:
    from torch import Tensor

    from boldreel.data.left_out import LeftOut
    from boldreel.models.packed_video import PackedVideo

SKETCH, RELIABILITY = "sketch", "reliability.safetensors"


@dataclass(frozen=True)
class Reading:
    """encoder and sketcher : of the subject. network : whose scores are estimated."""

    encoder: SpatioTemporalEncoder
    sketcher: LinearDecoder
    network: PackedVideo
    reliability: Reliability

    def __call__(self, x: Tensor, showings: Tensor) -> Tensor:
        """(n, 2, K) of windows (n, w, V), each the mean of so many showings (n,)."""
        return self.read(x, showings)[0]

    @torch.no_grad()
    def read(self, x: Tensor, showings: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and text embeddings (n, D) as predicted."""
        encoding = self.encoder(x)
        sketch = self.sketcher(x).deviations.image
        joined = torch.cat(scores(self, encoding.deviations, sketch), dim=1)
        return self.reliability(joined, showings), encoding.text

    def to(self, device: torch.device) -> Reading:
        """All of it on a device."""
        for part in (self.encoder, self.sketcher, self.network, self.reliability):
            part.to(device)
        return self

    def of_left_out(self, encoder: LeftOut, sketcher: LeftOut) -> Tensor:
        """(n, 2, K) of left-out predictions of the same clips."""
        predicted = _predicted(self, encoder, sketcher)
        return self.reliability(predicted, torch.from_numpy(encoder.showings).float())

    def save(self, folder: Path) -> None:
        """Leave the decoder of sketches and the reliabilities in a folder, next to the encoder's."""
        from safetensors.torch import save_file

        self.sketcher.save_pretrained(folder / SKETCH)
        save_file(self.reliability.state_dict(), folder / RELIABILITY)

    @classmethod
    def load(cls, encoder: Path, network: PackedVideo) -> Reading:
        """What `save` left next to an encoder's folder."""
        known = weights.read(encoder.parent / RELIABILITY)
        reliability = Reliability(sum(network.config.components))
        if problems := weights.differences(reliability.state_dict(), known):
            raise UserError(
                f"{encoder.parent / RELIABILITY}: {'; '.join(problems)}; run generator.cotrain again"
            )
        reliability.load_state_dict(known)
        return cls(
            SpatioTemporalEncoder.from_pretrained(encoder).eval(),
            LinearDecoder.from_pretrained(encoder.parent / SKETCH).eval(),
            network,
            reliability,
        )

    @classmethod
    def measure(
        cls,
        encoder: SpatioTemporalEncoder,
        sketcher: LinearDecoder,
        network: PackedVideo,
        left_out: tuple[LeftOut, LeftOut],
        true: Tensor,
    ) -> Reading:
        """Measure reliabilities.

        Parameters
        ----------
        left_out : predictions of the same clips, of encoder and sketcher.
        true : scores (clips, K) of these clips.
        """
        bare = cls(encoder, sketcher, network, Reliability(sum(network.config.components)))
        predicted = _predicted(bare, *left_out)
        noise = _noise(bare, *left_out)
        showings = float(1 / np.mean(1 / left_out[0].showings))
        found = Reliability.of(predicted.numpy(), true.numpy(), noise.numpy(), showings)
        return cls(encoder, sketcher, network, found)


def scores(reading: Reading, deviations: Deviations, sketch: Tensor) -> list[Tensor]:
    """Predicted scores (n, K) of each kind, of deviations as encoder and sketcher predict them.

    sketch : (n, cells), deviations from the training mean
    """
    calibration = reading.encoder.calibration
    meaning = [
        (calibration.condition_mean + deviations.condition).flatten(1),
        calibration.image_mean + deviations.image,
        calibration.text_mean + deviations.text,
    ]
    motion = calibration.motion_mean + deviations.motion * calibration.motion_spread
    sketched = reading.sketcher.calibration.image_mean + sketch
    shaped = sketched.unflatten(1, reading.network.config.sketch)
    return reading.network.scores(torch.cat(meaning, dim=1), motion, shaped)


def _expanded(reading: Reading, encoder: Tensor, sketcher: Tensor) -> Tensor:
    """Scores (n, K) of columns (n, K'), as left-out predictions hold them."""
    assert reading.encoder.readout is not None
    return torch.cat(scores(reading, reading.encoder.readout.expand(encoder), sketcher), dim=1)


@torch.no_grad()
def _predicted(reading: Reading, encoder: LeftOut, sketcher: LeftOut) -> Tensor:
    if encoder.clips != sketcher.clips:
        raise UserError(
            "left-out predictions of encoder and sketches are of other clips; align again"
        )
    return _expanded(reading, *(torch.from_numpy(part.values) for part in (encoder, sketcher)))


@torch.no_grad()
def _noise(reading: Reading, encoder: LeftOut, sketcher: LeftOut) -> Tensor:
    """Variance (K,) of a single showing's scores within a clip."""
    parts = []
    widths = (encoder.noise.shape[0], sketcher.noise.shape[0])
    kinds = reading.network.known
    for number, (left, where) in enumerate(
        ((encoder, slice(0, kinds[1].stop)), (sketcher, kinds[2]))
    ):
        width = widths[number]
        arguments = [torch.zeros(width + 1, w) for w in widths]
        arguments[number][:width] = torch.eye(width)
        found = _expanded(reading, *arguments)[:, where]
        linear = (found[:width] - found[width]).double()  # (K', K), without the means
        noise = torch.from_numpy(left.noise).double()
        parts.append(((noise @ linear) * linear).sum(0))
    return torch.cat(parts)

"""The decoders of one subject before and around training: built, started, calibrated.

Takes trials, the pretrained model's folder and the settings; returns a LinearDecoder and a
SpatioTemporalEncoder that stands on it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from boldreel.align.data import Trials
from boldreel.align.linear import LinearTargets, fit_decoder
from boldreel.align.objective import best_scale, decoded
from boldreel.align.settings import AlignSettings
from boldreel.models.autoencoder import MaskedAutoencoder
from boldreel.models.decoder import Decoder, Deviations, LinearDecoder
from boldreel.models.encoder import SpatioTemporalEncoder, encoder_config


def fit_linear(
    trials: Trials,
    used: np.ndarray,
    targets: LinearTargets,
    alphas: dict[str, float],
    settings: AlignSettings,
) -> LinearDecoder:
    """The ridge decoder of some trials, calibrated as the settings say."""
    return fit_decoder(
        trials,
        used,
        targets,
        alphas,
        bank=settings.bank,
        sharpness=settings.sharpness if settings.condition == "projected" else 0.0,
        seed=settings.seed,
    )


def build(
    linear: LinearDecoder, pretrained: Path, settings: AlignSettings
) -> tuple[SpatioTemporalEncoder, list[str]]:
    """The encoder at its start, and the names of the tensors that came from pretraining.

    Width and heads are the pretrained model's in any case; `pretraining: false` takes nothing else.
    """
    source = MaskedAutoencoder.from_pretrained(pretrained)
    torch.manual_seed(settings.seed)
    sizes = {
        "patch_size": source.config.patch_size,
        "embed_dim": source.config.embed_dim,
        "depth": source.config.depth if settings.depth is None else settings.depth,
        "num_heads": source.config.num_heads,
        "mlp_ratio": source.config.mlp_ratio,
        "window_attention": settings.window_attention,
    }
    encoder = SpatioTemporalEncoder(
        encoder_config(linear.config, linear_path=settings.linear_path, **sizes)
    )
    return encoder, encoder.start_from(source if settings.pretraining else None, linear)


def start_temperature(
    encoder: SpatioTemporalEncoder, training: Trials, left_out: np.ndarray
) -> None:
    """Start the learned temperature where the ridge's own predictions of unseen rows contrast best.

    1 / 0.07, where CLIP's starts, is far too sure of predictions from noisy data.
    """
    assert encoder.readout is not None
    averaged = np.stack([left_out[rows].mean(0) for rows in training.rows_of])
    outputs = torch.from_numpy(averaged).to(encoder.present.device)
    text = encoder.readout.expand(outputs).text
    scale = best_scale(training.features, text, encoder.calibration)
    encoder.logit_scale.data.fill_(float(np.log(scale)))
    print(f"temperature starts at 1/{scale:g}")


def measure_floors(decoder: Decoder, validation: Trials) -> None:
    """Set below which size deviations are no more scaled up, on averaged validation responses."""
    with torch.no_grad():
        own = [encoding.deviations for encoding in decoded(decoder, validation)]
    parts = [torch.cat(values) for values in zip(*own, strict=True)]
    decoder.calibration.measure_floors(Deviations(*parts))

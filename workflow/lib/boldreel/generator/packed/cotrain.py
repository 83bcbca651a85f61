"""A packed video network tuned to one subject: to what is read from that brain, and how well.

Takes the aligned encoder, the decoder of sketches, and left-out predictions of training clips; leaves
`encoder/`, `sketch/`, `reliability.safetensors` and `generator/`. Reliabilities come from training clips, or
from validation clips where the transformer adds to the linear path, since it has seen the others. The network
goes on learning from what left-out predictions say of them: errors of meaning and motion that go together in
this brain, which random doubt does not know. Neither decoder is changed: on clips that they were fitted to
they are surer than elsewhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from boldreel.base_models import diffusion, video
from boldreel.data import atomic, provenance, tables
from boldreel.data.left_out import LeftOut, noise_of
from boldreel.errors import UserError
from boldreel.generator import sample_strip, saving, tuning
from boldreel.generator.backbones import Packed
from boldreel.generator.clip_latents import ClipMaterial, load_material
from boldreel.generator.packed import training
from boldreel.generator.packed.material import PackedMaterial
from boldreel.generator.packed.reading import Reading
from boldreel.generator.settings import CotrainSettings
from boldreel.models.decoder import LinearDecoder
from boldreel.models.encoder import SpatioTemporalEncoder
from boldreel.training.device import lease
from boldreel.training.fingerprint import state_folder
from boldreel.training.share import Share
from boldreel.training.state import discard


def clips_of(
    windows: Path, left_out: LeftOut, material: ClipMaterial
) -> tuple[list[str], list[int]]:
    """Names of the clips with a left-out prediction, and which of them are of the validation split.

    Raises
    ------
    UserError : none is left to train on, or to validate on.
    """
    table = tables.read(windows, "windows")
    held = set(table.loc[table["split"] == "validation", "clip"])
    known = set(material.clips)
    clips = [clip for clip in left_out.clips if clip in known]
    validation = [k for k, clip in enumerate(clips) if clip in held]
    if not validation or len(validation) == len(clips):
        raise UserError(
            f"{windows}: no left-out prediction of a {'training' if validation else 'validation'} clip; set "
            "align.refit to true, and name both splits in segments"
        )
    return clips, validation


def run(args: argparse.Namespace, settings: CotrainSettings, started: float) -> None:
    """The step `generator.cotrain` for this backbone."""
    folder = diffusion.find_base(args.diffusion_model)
    network = video.read(args.generator)
    if settings.gradient_checkpointing:
        network.enable_gradient_checkpointing()
    left_out = LeftOut.load(args.left_out)
    whole = load_material(args.clips, args.latents, args.features)
    clips, validation = clips_of(args.windows, left_out, whole)
    material = whole.take(clips)
    known = PackedMaterial.of(material, network, args.clips, args.features)
    sides = (left_out.take(clips), LeftOut.load(args.sketch_left_out).take(clips))
    held = set(validation)
    training_rows = [k for k in range(len(clips)) if k not in held]
    encoder = SpatioTemporalEncoder.from_pretrained(args.encoder)
    # A transformer that adds something has seen the training clips: only the linear path is left out.
    measured = training_rows if encoder.adds_nothing() else validation
    reading = Reading.measure(
        encoder,
        LinearDecoder.from_pretrained(args.sketch),
        network,
        tuple(side.take([clips[k] for k in measured]) for side in sides),  # type: ignore[arg-type]
        torch.cat(known.scores, dim=1)[measured],
    )
    print(f"reliabilities by {len(measured)} clips")
    for line in told(reading):
        print(line)
    read = reading.of_left_out(*sides)
    inputs = [*diffusion.files(folder), args.encoder, args.generator, args.windows, args.clips]
    inputs += [args.sketch, *args.latents, *args.features]
    for path in (args.left_out, args.sketch_left_out):
        inputs += [path, noise_of(path)]
    state = state_folder(
        args.state, module="boldreel.generator.cotrain", config=args.config, inputs=inputs
    )
    shown = tuning.spread_rows(validation, settings.strip.clips)
    backbone = Packed(network, saving.load_shape(args.generator))
    strip = sample_strip.SampleStrip(
        folder,
        backbone,
        settings.strip,
        settings.seed,
        material,
        shown,
        lambda: (read[shown], torch.zeros_like(read[0])),
        state / "strips",
    )
    with lease() as device:
        history = training.train(
            network,
            known,
            training.Rows(training_rows, validation),
            training.as_read(read),
            scheduler=backbone.scheduler(folder),
            settings=settings,
            state=state,
            device=device,
            strip=strip,
            what="co-training",
        )
    if Share.current().rank:
        return  # the first process writes
    with atomic.folder(args.output) as aside:
        reading.encoder.save_pretrained(aside / "encoder")
        reading.save(aside)
        backbone.save(aside / "generator", folder)
        tuning.write_history(aside / "history.tsv", history)
        strip.export(aside / "strips", settings.epochs)
        provenance.record(
            aside, inputs=inputs, config=args.config, seed=settings.seed, started=started
        )
    discard(state)


def told(reading: Reading) -> list[str]:
    """A line for each kind of features: how much of its variance is read, by left-out predictions."""
    worth = reading.reliability
    n = worth.showings.view(1)
    found = worth(worth.mean[None], n)[0, 1]
    kinds = zip(reading.network.codes.items(), reading.network.known, strict=True)
    lines = []
    for (name, code), where in kinds:
        power = code.decode.square().sum(1)
        share = float((found[where] * power).sum() / power.sum())
        lines.append(
            f"{name}: {share:.2f} of the variance is read from {float(n):g} showings, best component "
            f"{float(found[where].max()):.2f}"
        )
    return lines

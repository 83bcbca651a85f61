"""A subject's head: the T1w image, and the truth about the subject that all runs share.

Reads the `insilico` section and a subject's label; writes the T1w image (2 mm, with skull and scalp)
and its sidecar, and, in the truth's folder apart from the BIDS tree, `anatomy.json` (the matrix from
T1w to MNI, haemodynamic lag, explainable variance, noise ceilings, field of view), `encoding.npz`
(weights, explainable variance and area of every place) and `epi.npz` (what a still head looks like).
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from boldreel import step
from boldreel.data import atomic, nifti, provenance
from boldreel.errors import UserError
from boldreel.insilico import design, encoding, head, hrf, template
from boldreel.insilico.seeding import generator
from boldreel.insilico.settings import InsilicoSettings
from boldreel.settings import read

T1W_VOXEL = 2.0
T1W_BRIGHTNESS = 900.0
T1W_NOISE = 0.015  # sd, of the brightest tissue
BIAS = 0.12  # depth of the slow shading by the coil
TIME_TO_PEAK = (4.2, 6.0)  # s, of the response to an impulse
# Room (mm) around the field of view, into which a head may move.
ROOM = 6.0


def t1w(
    head_in_mni: template.Volume, to_mni: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The T1w image (int16) and its affine: shaded, noisy, stored from right to left."""
    shape = (104, 124, 112)
    centre = template.move(np.linalg.inv(to_mni), np.array([0.0, -18.0, 10.0]))
    affine = np.diag([-T1W_VOXEL, T1W_VOXEL, T1W_VOXEL, 1.0])
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    index = np.indices(shape).astype(np.float64)
    values = head_in_mni.sample(template.move(to_mni @ affine, index))
    shading = np.zeros(shape)
    for axis in range(3):
        place = np.linspace(-1, 1, shape[axis]).reshape([-1 if k == axis else 1 for k in range(3)])
        linear, square = rng.uniform(-1, 1, 2)
        shading = shading + linear * place + square * place**2
    values = values * np.exp(BIAS * shading / np.abs(shading).max())
    # The magnitude of a complex signal: noise never makes it negative.
    real, imaginary = T1W_NOISE * rng.standard_normal((2, *shape))
    magnitude = np.hypot(values + real, imaginary)
    return np.round(T1W_BRIGHTNESS * magnitude).astype(np.int16), affine


def still_image(
    rng: np.random.Generator, view: head.FieldOfView, to_mni: np.ndarray, voxel_size: float
) -> template.Volume:
    """What the scanner sees of a still head, in MNI space at 1 mm, 1 in grey matter; coil shading."""
    corners = np.indices((2, 2, 2)).reshape(3, -1) * (np.array(view.shape)[:, None] - 1)
    corners = template.move(to_mni @ view.affine, corners)
    box = np.stack([corners.min(1) - ROOM, corners.max(1) + ROOM], axis=1)
    volume = template.echo_planar(box, voxel_size)
    x, y, z = (np.linspace(-1, 1, n) for n in volume.values.shape)
    slope = rng.uniform(-0.08, 0.08, 3)
    shading = slope[0] * x[:, None, None] + slope[1] * y[:, None] + slope[2] * z
    return template.Volume((volume.values * np.exp(shading)).astype(np.float32), volume.affine)


def truth(settings: InsilicoSettings, subject: str) -> tuple[dict[str, Any], encoding.Encoding]:
    """What is true of a subject: entries of anatomy.json, and the encoding model."""
    seed, voxel_size = settings.seed, settings.voxel_size
    rng = generator(seed, "anatomy", subject)
    to_mni = head.t1w_to_mni(rng)
    view = head.field_of_view(rng, to_mni, encoding.BOX, voxel_size)
    time_to_peak = float(generator(seed, "hrf", subject).uniform(*TIME_TO_PEAK))
    asked = design.explainable_variance(settings, subject)
    model = encoding.build(seed, subject, asked, voxel_size)
    facts = {
        "subject": subject,
        "t1w_to_mni": to_mni.tolist(),
        "field_of_view": {"affine": view.affine.tolist(), "shape": list(view.shape)},
        "hrf": {
            "time_to_peak": time_to_peak,
            "response_peak_s": hrf.response_peak(time_to_peak),
        },
        "explainable_variance": asked,
        "medians": dict(encoding.summary(model)),
    }
    return facts, model


def read_truth(folder: Path) -> dict[str, Any]:
    """anatomy.json of a subject's truth folder."""
    path = folder / "anatomy.json"
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; run boldreel.insilico.anatomy for this subject first"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def write_still_image(path: Path, volume: template.Volume) -> None:
    """Write the still head (values, affine) to an .npz."""
    with atomic.file(path) as aside, open(aside, "wb") as target:
        np.savez(target, allow_pickle=False, values=volume.values, affine=volume.affine)


def read_still_image(path: Path) -> template.Volume:
    """Read what `write_still_image` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return template.Volume(stored["values"], stored["affine"])


def main(argv: list[str] | None = None) -> None:
    """Write the T1w image and the subject's truth."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--subject", required=True, help="label without sub-")
    parser.add_argument("--output", required=True, type=Path, help="the T1w image (.nii.gz)")
    parser.add_argument(
        "--truth", required=True, type=Path, help="anatomy.json of the truth folder"
    )
    args = parser.parse_args(argv)
    settings = read(InsilicoSettings, args.config, "insilico")
    seed = settings.seed
    facts, model = truth(settings, args.subject)
    rng = generator(seed, "t1w", args.subject)
    image, affine = t1w(template.head(), np.array(facts["t1w_to_mni"]), rng)
    nifti.save(args.output, image, affine)
    sidecar = args.output.with_name(args.output.name.split(".")[0] + ".json")
    atomic.write_text(sidecar, json.dumps({"Modality": "MR", "MagneticFieldStrength": 3}) + "\n")
    folder = args.truth.parent
    model.save(folder / "encoding.npz")
    view = facts["field_of_view"]
    still = still_image(
        generator(seed, "coil", args.subject),
        head.FieldOfView(np.array(view["affine"]), tuple(view["shape"])),
        np.array(facts["t1w_to_mni"]),
        settings.voxel_size,
    )
    write_still_image(folder / "epi.npz", still)
    atomic.write_text(args.truth, json.dumps(facts, indent=1) + "\n")
    provenance.record(args.truth, inputs=[], config=asdict(settings), seed=seed, started=started)


if __name__ == "__main__":
    step.run(main)

"""The whole configuration: what stands at its top level, and the sections of the stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from boldreel import presets
from boldreel.align.settings import AblateSettings, AlignSettings
from boldreel.bold.settings import BoldSettings
from boldreel.evaluate.settings import EvaluateSettings
from boldreel.generator.settings import CotrainSettings, GeneratorSettings
from boldreel.insilico.settings import InsilicoSettings
from boldreel.pretrain.settings import PretrainSettings
from boldreel.reconstruct.settings import ReconstructSettings
from boldreel.report.settings import ReportSettings
from boldreel.roi.settings import RoiSettings
from boldreel.settings import by_preset, keys, required, setting, subsection
from boldreel.stimuli.settings import StimuliSettings
from boldreel.windows.settings import WindowsSettings


@dataclass(frozen=True)
class Segments:
    """Which segments (BIDS tasks) belong to which split."""

    train: tuple[str, ...] = required("Training segments, as shell patterns.")
    validation: tuple[str, ...] = required(
        "Training segments held out for every choice; taken out of train."
    )
    test: tuple[str, ...] = required("Test segments; nothing is fitted on them.")


@dataclass(frozen=True)
class Models:
    """Base models."""

    clip: str = by_preset("CLIP model.")
    diffusion: str = by_preset("Stable Diffusion pipeline.")
    image_classifier: str = by_preset("Classifier of single frames.")
    video_classifier: str = by_preset("Classifier of clips.")
    caption: str | None = by_preset(
        "Captioner for movies without annotations, and of reconstructions; where it is null, a "
        "reconstruction's caption is the training caption nearest to it for CLIP."
    )
    alexnet: str | None = setting(
        None,
        "File of AlexNet's weights in torchvision's naming (`.pth`, `.safetensors`), for LPIPS and "
        "identification by its layers; where it is null, the image classifier's layers are taken and LPIPS "
        "is left out.",
    )
    sentence: str | None = setting(
        None,
        "Model of sentences by which captions are compared; where it is null, CLIP's text encoder.",
    )


@dataclass(frozen=True)
class Configuration:
    """The configuration of a run."""

    dataset: str = required(
        "Name of the data set; results go to `results/{dataset}`.",
        pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$",
    )
    preset: str | None = setting(
        None,
        "Scale of everything below that has three values: `base` for own data and one GPU of 24 GB, "
        "`mindvideo` for the sizes of the paper, `demo` for the embedded data set. Null is `base` where "
        "`bids` is set, else `demo`.",
        choices=(*presets.NAMES, None),
    )
    bids: str | None = setting(
        None, "Root of a raw BIDS data set; null simulates the embedded one."
    )
    subjects: str | None = setting(
        None,
        'Table with a column `subject` (labels without "sub-") and optionally `exclude`. Null takes every '
        "subject of the data set.",
    )
    seed: int = setting(20230507, "Seed of everything random.", minimum=0)
    results: str = setting("results", "Folder of all results.")
    state: str = setting(
        "state", "Folder of training states, from which a stopped training goes on."
    )
    memory_factor: float = by_preset(
        "Memory that jobs ask for, in units of what the demo's jobs need.", above=0
    )
    methods: tuple[str, ...] = setting(
        ("mindvideo",),
        "Methods that reconstruct: `mindvideo`, which all stages serve, and next to it any of `linear`, "
        "`cvgan`, `selfsupervised` (docs/methods.md says how to add one).",
        items={"pattern": "^[a-z][a-z0-9_]*$"},
        contains={"const": "mindvideo"},
        unique=True,
    )
    method_options: dict[str, dict[str, Any]] = setting(
        {},
        "Options of the other methods by name, `{linear: {readout: nearest}}`; each method's settings.py "
        "lists its own.",
    )
    segments: Segments = subsection(
        Segments, "Which segments (BIDS tasks) belong to which split, as shell patterns."
    )
    models: Models = subsection(
        Models,
        "Base models, each a folder in Hugging Face layout or a model of the hub, `owner/name` or "
        "`owner/name@revision` (branch, tag or commit). `python -m boldreel.base_models KEY=NAME …` "
        "downloads them; a model that the hub's cache holds is taken as it is there.",
    )
    insilico: InsilicoSettings = subsection(
        InsilicoSettings, "The simulated data set of the demo; refused where `bids` is set."
    )
    stimuli: StimuliSettings = subsection(StimuliSettings, "Movies: decoding, shots, clips.")
    bold: BoldSettings = subsection(BoldSettings, "Preprocessing.")
    roi: RoiSettings = subsection(RoiSettings, "Which voxels, and how their series are cleaned.")
    windows: WindowsSettings = subsection(WindowsSettings, "Which volumes answer a clip.")
    pretrain: PretrainSettings = subsection(
        PretrainSettings, "Masked brain modelling on a cohort of its own."
    )
    align: AlignSettings = subsection(AlignSettings, "The spatiotemporal encoder of each subject.")
    ablate: AblateSettings = subsection(
        AblateSettings,
        "`make ablate`: the encoder without one of its parts, and a new subject with few minutes of data. "
        "What is not named here is as in `align`, without a linear path.",
    )
    generator: GeneratorSettings = subsection(
        GeneratorSettings, "The video generator, tuned on training movies."
    )
    cotrain: CotrainSettings = subsection(
        CotrainSettings, "Encoder and generator of a subject, tuned together."
    )
    reconstruct: ReconstructSettings = subsection(ReconstructSettings, "Sampling of test clips.")
    evaluate: EvaluateSettings = subsection(EvaluateSettings, "Scores, chance and intervals.")
    report: ReportSettings = subsection(ReportSettings, "Figures and page.")


# The sections of the stages, and the class that a step reads its own with.
SECTIONS: dict[str, type] = {
    one.name: one.metadata["kind"]
    for one in keys(Configuration)
    if one.name not in ("segments", "models") and "kind" in one.metadata
}

"""The whole configuration: the top-level keys and the sections of the stages."""

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
from boldreel.study.settings import PresentationsSettings
from boldreel.windows.settings import WindowsSettings

_ENTRY = (
    "Each entry is a pattern on the task (`movie*`) or on task and run (`movie_run-[1-6]`), or conditions on "
    "entities, stimulus and time, such as `{task: movie, run: [1, 2]}`, `{stimulus: 'test/*'}` or "
    "`{run: 3, time: [0, 300]}`."
)


@dataclass(frozen=True)
class Segments:
    """Which runs, and what is shown in them, belong to which split."""

    train: tuple[Any, ...] = required(f"What is trained on. {_ENTRY}")
    validation: tuple[Any, ...] = required(
        "Held out of training for all choices; removed from train."
    )
    test: tuple[Any, ...] = required("Test; nothing is fitted on it.")


@dataclass(frozen=True)
class Models:
    """Base models."""

    clip: str = by_preset("CLIP model.")
    diffusion: str = by_preset("Stable Diffusion pipeline.")
    video: str | None = by_preset(
        "Prior of the packed backbone, as tuning leaves one; null starts from the diffusion model's "
        "image network."
    )
    image_classifier: str = by_preset("Classifier of single frames.")
    video_classifier: str = by_preset("Classifier of clips.")
    caption: str | None = by_preset(
        "Captioner for movies without annotations and for reconstructions. If null, a "
        "reconstruction gets the training caption that is nearest to it in CLIP."
    )
    alexnet: str | None = setting(
        None,
        "File with AlexNet's weights in torchvision's naming (`.pth`, `.safetensors`), for "
        "LPIPS and identification by its layers. If null, identification uses the image "
        "classifier's layers, and LPIPS is omitted.",
    )
    sentence: str | None = setting(
        None,
        "Sentence model that compares captions; if null, CLIP's text encoder.",
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
        "Scale of all keys below that have three values: `base` for your own data and one GPU "
        "with 24 GB, `mindvideo` for the sizes of the paper, `demo` for the simulated data set."
        " Null means `base` if `bids` is set, else `demo`.",
        choices=(*presets.NAMES, None),
    )
    bids: str | None = setting(None, "Root of a raw BIDS data set; null simulates one.")
    subjects: str | None = setting(
        None,
        "Table with a column `subject` (or `participant_id`, as in BIDS' participants.tsv) and optionally "
        "`exclude`. Null means every subject of the data set.",
    )
    seed: int = setting(20230507, "Seed of everything random.", minimum=0)
    results: str = setting("results", "Folder of all results.")
    state: str = setting(
        "state", "Folder of training states, from which a stopped training resumes."
    )
    memory_factor: float = by_preset(
        "Memory that jobs request, relative to the demo's jobs.", above=0
    )
    device: str = setting(
        "auto",
        "`cpu` computes on the CPU even if there is a GPU. With `auto` a GPU that PyTorch cannot "
        "use is an error.",
        choices=("auto", "cpu"),
    )
    methods: tuple[str, ...] = setting(
        ("mindvideo",),
        "Methods that reconstruct: `mindvideo`, the main method, and any of `linear`, `cvgan`, "
        "`selfsupervised` (docs/methods.md says how to add one).",
        items={"pattern": "^[a-z][a-z0-9_]*$"},
        contains={"const": "mindvideo"},
        unique=True,
    )
    method_options: dict[str, dict[str, Any]] = setting(
        {},
        "Options of the other methods by name, such as `{linear: {readout: nearest}}`. Each "
        "method's settings.py lists its options.",
    )
    segments: Segments = subsection(
        Segments, "Which runs, and what is shown in them, belong to which split."
    )
    presentations: PresentationsSettings = subsection(
        PresentationsSettings, "What was shown when, and which runs count (docs/own-data.md)."
    )
    models: Models = subsection(
        Models,
        "Base models, each a folder in Hugging Face layout or a model of the hub, `owner/name` "
        "or `owner/name@revision` (branch, tag or commit). `python -m boldreel.base_models "
        "KEY=NAME …` downloads them; a model in the hub's cache is used as it is.",
    )
    insilico: InsilicoSettings = subsection(
        InsilicoSettings, "The simulated data set of the demo; an error if `bids` is set."
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
        "`make ablate`: the encoder without one of its parts, and a new subject with a few "
        "minutes of data. Keys that are missing here are as in `align`, without a linear path.",
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

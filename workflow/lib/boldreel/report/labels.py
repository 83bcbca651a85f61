"""Names and plain sentences for metrics, conditions and stages: what each can and cannot show.

Takes metric and definition as they stand in the tables; returns words. Metrics without an entry keep
their own name, so that a new one shows up at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A metric in words. `shows` and `hides` are one sentence each."""

    name: str
    shows: str
    hides: str


METRICS: dict[str, Entry] = {
    "two_way": Entry(
        "Retrieval, two-way",
        "Whether the brain's prediction is nearer to its own clip than to another, before any "
        "picture is generated.",
        "High values need only coarse features: it can hide a feature space that does not know "
        "the object.",
    ),
    "top1": Entry(
        "Retrieval, top-1",
        "How often the best of all test clips is a right one, before any picture is generated.",
        "Depends on the number of candidates and on how alike they are.",
    ),
    "feature_correlation": Entry(
        "Feature correlation",
        "How well the features predicted from the brain follow the true ones over clips. The upper bound is "
        "the noise ceiling: what could be reached with test data as noisy as these.",
        "The ceiling is of this decoder: one that reads less of the brain may have a higher one.",
    ),
    "nway_frame": Entry(
        "Identification by frame",
        "Whether a frame classifier sees in the reconstruction what it sees in the truth.",
        "A classifier that always favours common classes lifts it; as published, three classes "
        "count as right, so that chance is 3/(n+2).",
    ),
    "nway_video": Entry(
        "Identification by video",
        "Whether a video classifier sees in the reconstruction what it sees in the truth.",
        "As for frames; a single still picture can already do well.",
    ),
    "ssim": Entry(
        "Structural similarity",
        "Whether brightness, contrast and edges stand in the right places.",
        "Rewards blur: a flat gray picture often beats real reconstructions.",
    ),
    "clip_identification": Entry(
        "CLIP identification, two-way",
        "Whether CLIP finds the reconstruction nearer to its own truth than to other shots.",
        "CLIP's idea of likeness is not a person's.",
    ),
    "clip_retrieval": Entry(
        "CLIP retrieval, top-1",
        "Whether the truth is the nearest to its reconstruction in a pool of clips, the others from other "
        "shots.",
        "Depends on the size of the pool and on how alike its clips are.",
    ),
    "layer_identification": Entry(
        "Layer identification, two-way",
        "Whether a network's layer finds the reconstruction nearer to its own truth than to other shots: "
        "an early layer by layout, a late one by content.",
        "A common layout already lifts the early layer; two-way is easy to score high in.",
    ),
    "lpips": Entry(
        "LPIPS",
        "How far apart truth and reconstruction are for AlexNet, weighted as people judged patches.",
        "Made for small distortions of one picture; between different pictures it says little, and blur is "
        "cheap.",
    ),
    "caption_bleu": Entry(
        "Caption, BLEU-4",
        "Whether the reconstruction's caption has the words and phrases of the truth's.",
        "Stock phrases that every caption shares lift it; read the shuffled value.",
    ),
    "caption_rouge": Entry(
        "Caption, ROUGE-L",
        "Whether the reconstruction's caption has the words of the truth's in their order.",
        "Stock phrases that every caption shares lift it; read the shuffled value.",
    ),
    "caption_similarity": Entry(
        "Caption similarity",
        "Whether the captions of reconstruction and truth mean the same to a model of texts.",
        "Has no zero: any two captions are alike to some degree. Read the shuffled value.",
    ),
    "clip_similarity": Entry(
        "CLIP similarity",
        "Likeness of frames in CLIP's image space.",
        "Has no zero: any two natural pictures are alike to some degree. Read the shuffled value.",
    ),
    "clip_pcc": Entry(
        "CLIP-pcc",
        "How alike neighbouring frames of the output are.",
        "Never looks at the truth: a frozen picture scores 1.",
    ),
    "motion_change": Entry(
        "Frame-to-frame change",
        "How much the reconstruction moves, against the truth: 1 is right, above it flickers, "
        "below it freezes.",
        "Says nothing of direction.",
    ),
    "flow_error": Entry(
        "Optical flow, end-point error",
        "How far the reconstruction's motion is from the truth's, in pixels of a square of 64 a frame.",
        "A still picture is a strong baseline: its error is the mean length of the true motion, as "
        "the gray frame's.",
    ),
    "flow_direction": Entry(
        "Optical flow, direction",
        "Whether what moves in the truth moves the same way in the reconstruction: the mean cosine.",
        "Says nothing of speed; a still picture scores 0, and so does chance.",
    ),
    "flicker": Entry(
        "Flicker",
        "How much frame-to-frame change changes, against the truth: 1 is right, above it flickers.",
        "Says nothing of what moves.",
    ),
    "dominant_direction": Entry(
        "Direction of the dominant motion",
        "Whether what moves fastest goes the same way as in the truth, wherever it is: a cosine.",
        "Says nothing of speed, place or of a second moving thing; a still picture scores 0, and so does "
        "chance.",
    ),
    "moving_position": Entry(
        "Position of what moves",
        "How far apart the centres of motion are, in pixels of a square of 64, without the camera's motion.",
        "A still picture counts as its centre, which is a strong baseline; several moving things share one "
        "centre.",
    ),
    "frechet_class_scores": Entry(
        "Fréchet distance of class scores",
        "How far the set of reconstructions is from the set of true clips, as a video classifier sees them.",
        "Never looks at which clip belongs to which: a generator that ignores the brain may do well; few "
        "clips bias it upwards, so compare it at the same number alone.",
    ),
    "psnr": Entry(
        "Peak signal-to-noise ratio",
        "Agreement of pixel values, in dB.",
        "Rewards blur and gray even more than structural similarity.",
    ),
    "mse": Entry(
        "Mean squared error", "Disagreement of pixel values; less is better.", "Rewards gray."
    ),
    "temporal_order": Entry(
        "Order in time",
        "Whether the reconstruction follows the truth better as it is than played backwards.",
        "A still picture scores one half; so does a clip whose truth hardly moves.",
    ),
    "hue_correlation": Entry(
        "Hue correlation",
        "Whether colours lie in the right places.",
        "One tint over everything already gives a high value when shuffled.",
    ),
    "pixel_correlation": Entry(
        "Pixel correlation",
        "Whether light and dark lie in the same places.",
        "Common layout, such as a bright middle, already gives a high value when shuffled.",
    ),
}
_JUDGED = Entry(
    "Judge",
    "Whether a classifier reads the right {0} off the reconstruction.",
    "Only as good as the judge: see what it reads off the truth itself.",
)

_FEATURE = Entry(
    "Feature",
    "Whether the {0} can be read off the brain's prediction, before any picture is generated.",
    "The candidates are the values that training showed.",
)

CONDITIONS: dict[str, str] = {
    "model": "Model",
    "ridge": "Ridge regression",
    "shuffled": "Shuffled pairing",
    "gray": "Mid-gray frame",
    "true_colour": "Mean colour of the truth",
    "mean_frame": "Mean training frame",
    "random_training": "Random training clip",
    "nearest_training": "Training clip nearest in BOLD",
    "zero_shot": "Fitted on other subjects alone",
    "other_subject": "Another subject's responses",
    "mean_fmri": "Generator fed the mean training response",
    "noise_fmri": "Generator fed noise in place of responses",
    "nearest_caption": "Generator fed the nearest training caption alone",
    "true_features": "Generator fed the true caption’s features",
    "truth": "The truth itself",
}
# What counts in verdicts and is in the headline table, in this order: a metric and, where it
# has several definitions, which of them.
PRIMARY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("two_way_text", ()),
    ("two_way_image", ()),
    ("top1_text", ()),
    ("top1_image", ()),
    ("feature_correlation", ("text", "image")),
    ("_text", ()),
    ("nway_frame", ("top3_n2_k1", "top3_n50_k1")),
    ("nway_video", ("top3_n2_k1", "top3_n50_k1")),
    ("judge_", ()),
    ("dominant_direction", ()),
    ("clip_identification", ("two_way",)),
    ("pixel_correlation", ("rgb",)),
    ("ssim", ("rgb_uniform", "gray_gaussian")),
)

_DEFINITIONS = {
    "text": "text features",
    "image": "image features",
    "rgb_uniform": "RGB, 7x7 window",
    "gray_gaussian": "gray, Gaussian window",
    "rgb": "",
    "pixel_correlation": "",
    "chroma": "in the colour plane",
    "hue": "HSV hue, as published",
    "two_way": "",
    "top1_pool10": "of 10 clips",
    "top1_pool50": "of 50 clips",
    "frame_cosine": "cosine",
    "ratio_to_truth": "ratio to the truth",
    "output": "of the output",
    "tvl1_64px": "TV-L1 at 64 pixels",
    "image_classifier": "from frames",
    "video_classifier": "from video",
}


_RETRIEVAL = re.compile(r"(two_way|top\d+)(_strict)?_(text|image)")


def before_generator(metric: str) -> bool:
    """Whether a metric looks at features predicted from the brain, and not at videos."""
    return metric.endswith(("_text", "_image")) or metric == "feature_correlation"


def family(metric: str) -> str | None:
    """Which of the two questions a metric answers, if it measures how well clips are distinguished."""
    if _RETRIEVAL.fullmatch(metric):
        return "retrieval, before the generator"
    return "n-way, after the generator" if metric.startswith("nway_") else None


def entry(metric: str) -> Entry:
    """Words for a metric; one made of its own name where there is none."""
    if metric in METRICS:
        return METRICS[metric]
    retrieval = _RETRIEVAL.fullmatch(metric)
    if retrieval:
        kind = METRICS["two_way" if retrieval[1] == "two_way" else "top1"]
        name = kind.name if retrieval[1] == "two_way" else f"Retrieval, top-{retrieval[1][3:]}"
        strict = ", only the clip itself" if retrieval[2] else ""
        return Entry(f"{name}{strict}, {retrieval[3]} features", kind.shows, kind.hides)
    for prefix, suffix, words, kind in (
        ("judge_", "", "read by a judge", _JUDGED),
        ("", "_text", "in feature space", _FEATURE),
    ):
        if metric.startswith(prefix) and metric.endswith(suffix):
            what = metric.removeprefix(prefix).removesuffix(suffix)
            return Entry(f"{what.capitalize()}, {words}", kind.shows.format(what), kind.hides)
    return Entry(metric.replace("_", " ").capitalize(), "", "")


def definition(text: str) -> str:
    """Words for a definition."""
    if text in _DEFINITIONS:
        return _DEFINITIONS[text]
    nway = re.fullmatch(r"(top3|single)_n(\d+)_k(\d+)", text)
    if nway:
        kind = "three right classes, as published" if nway[1] == "top3" else "one right class"
        top = "" if nway[3] == "1" else f", top-{nway[3]}"
        return f"{nway[2]}-way{top}, {kind}"
    if "," in text:  # a sentence already; the pool's size is told by the chance
        return ""
    return text.replace("_", " ")


def condition(text: str) -> str:
    """Words for a condition."""
    return CONDITIONS.get(text, text.replace("_", " ").capitalize())


_ABLATIONS = {
    "full": "all parts",
    "no_pretraining": "no pretraining",
    "no_window_attention": "no window attention",
    "window_1": "window of 1 volume",
    "window_2": "window of 2 volumes",
    "window_3": "window of 3 volumes",
    "text_only": "contrast with text only",
    "image_only": "contrast with images only",
    "no_augmentation": "no augmentation",
    "shuffled_voxels": "voxels in random order",
    "ridge_start": "all parts, from ridge (default)",
    "ridge": "ridge regression alone",
}


def ablation(name: str) -> str:
    """Words for what was taken out of the encoder."""
    return _ABLATIONS.get(name, name.replace("_", " "))


def primary_rank(metric: str, definition_: str) -> int | None:
    """Place of a metric in PRIMARY, or None if it is not a primary one."""
    for rank, (name, definitions) in enumerate(PRIMARY):
        fits = metric == name
        if name == "_text":
            fits = metric.endswith(name) and not _RETRIEVAL.fullmatch(metric)
        elif name == "judge_":
            fits = metric.startswith(name)
        if fits and (not definitions or definition_ in definitions):
            return rank
    return None


def who(subject: str, method: str = "") -> str:
    """What a subject is called: sub-XX, "mean", or the method's name where scores have no subject."""
    if not subject:
        return method or "reconstruction"
    return subject if subject == "mean" else f"sub-{subject}"


def number(value: float | None, signed: bool = False) -> str:
    """Three significant places as used throughout the page; an en dash for what is missing."""
    if value is None or value != value:
        return "–"
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:{'+' if signed else ''}.{places}f}"


def short(value: float | None) -> str:
    """Two decimals, for the terminal; an en dash for what is missing."""
    return "–" if value is None or value != value else f"{round(value, 2) + 0.0:.2f}"


def p_bound(value: float | None) -> str:
    """The side of the usual levels on which a p is: as a rule the same on any processor."""
    if value is None or value != value:
        return "–"
    level = next((level for level in (".001", ".01", ".05") if value < float(level)), "")
    return f"< {level}" if level else "> .05"


def p_value(value: float | None) -> str:
    """A p, never 0: two significant places below .1."""
    if value is None or value != value:
        return "–"
    if value < 0.0001:
        return "< .0001"
    places = 2 if value >= 0.1 else 3 if value >= 0.01 else 4
    return f"{value:.{places}f}".lstrip("0") if value < 1 else "1"


def duration(seconds: float) -> str:
    """Seconds in words: 41 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"

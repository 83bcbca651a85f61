"""Section `windows`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.settings import from_workflow, setting, subsection

# Modes of `windows.hrf` in which series are of activity, not of blood; and in which responses come from
# training segments.
DECONVOLVED = ("deconvolution", "kernel")
LEARNT = ("kernel",)


@dataclass(frozen=True)
class Hrf:
    """How the haemodynamic delay is handled."""

    mode: str = setting(
        "lag",
        "`lag`: windows of the measured series at the lag that the sweep chooses (as published,"
        " with a fixed lag). `fir`: all volumes from the first of `lags` to the last in one "
        "window, each with its own weights. `deconvolution`: windows of series deconvolved with"
        " the canonical response. `kernel`: the same with one response per area, learnt on "
        "training segments if their halves agree (`permutations`, `chance_p`), else the "
        "response of all areas or the canonical one.",
        choices=("lag", "fir", "deconvolution", "kernel"),
    )
    lags: tuple[float, ...] = setting(
        (-2.0, 0.0, 2.0),
        "Lags that the sweep tries on deconvolved series, s from clip onset to the first volume "
        "of activity.",
        min_items=1,
    )
    noise: float = setting(
        10.0,
        "Noise variance that deconvolution assumes, in units of the variance of activity; "
        "larger is smoother.",
        above=0,
    )
    length: float = setting(20.0, "Length of a learnt response, s.", minimum=8)
    components: int = setting(
        10,
        "Principal components of the screen's content from which responses are learnt.",
        minimum=1,
    )


@dataclass(frozen=True)
class WindowsSettings:
    """Which volumes answer a clip."""

    seed: int = from_workflow(0)
    combination: tuple[str, ...] = from_workflow(())
    lags: tuple[float, ...] = setting(
        (0.0, 2.0, 4.0, 6.0, 8.0, 10.0),
        "Lags that the sweep tries, s from clip onset to the first volume.",
        min_items=1,
    )
    windows: tuple[int, ...] = setting(
        (1, 2, 3), "Windows that the sweep tries, volumes.", min_items=1, items={"minimum": 1}
    )
    ridge_alphas: tuple[float, ...] = setting(
        (
            0.01,
            0.03162277660168379,
            0.1,
            0.31622776601683794,
            1.0,
            3.1622776601683795,
            10.0,
            31.622776601683793,
            100.0,
            316.22776601683796,
            1000.0,
        ),
        "Regularisations that the sweep tries.",
        min_items=1,
    )
    lag: float | None = setting(None, "Fixed lag in s; null lets the sweep choose.")
    window: int | None = setting(None, "Fixed window in volumes; null lets the sweep choose.")
    default_lag: float = setting(6.0, "Lag in s if nothing is above chance.", minimum=0)
    default_window: int = setting(2, "Window in volumes if nothing is above chance.", minimum=1)
    hrf: Hrf = subsection(Hrf, "How the haemodynamic delay is handled.")
    permutations: int = setting(200, "Circular shifts for the sweep's p.", minimum=1)
    min_shift: float = setting(
        10.0,
        "Shortest circular shift for the p of the sweep and of responses that `kernel` learns, s. "
        "The sweep's are no shorter than the longest shot either.",
        minimum=0,
    )
    chance_p: float = setting(
        0.01,
        "p above which the sweep uses the defaults, and `kernel` learns no response.",
        minimum=0,
        maximum=1,
    )
    max_clips: int = setting(2000, "Largest number of clips that the sweep fits.", minimum=1)
    near_duplicate_caption: float = setting(
        0.8,
        "Share of common words from which the audit counts captions as near duplicates.",
        minimum=0,
        maximum=1,
    )
    near_duplicate_clip: float = setting(
        0.98,
        "CLIP cosine from which the audit counts clips as near duplicates.",
        minimum=0,
        maximum=1,
    )
    near_duplicate_pixels: float = setting(
        0.95,
        "Correlation of grey thumbnails from which the audit counts clips as near duplicates.",
        minimum=0,
        maximum=1,
    )

"""The columns of every table, the shape of every array and the keys of every JSON object that pass
between stages.

Table columns: name -> Column(kind, optional). Kinds: `text`, `int`, `float`, `bool`. A column that
is not `optional` must be there; `missing=True` lets single values be empty. Times are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column: its kind, whether values may be missing, whether the column may be absent."""

    kind: str
    missing: bool = False
    optional: bool = False


@dataclass(frozen=True)
class ArrayKind:
    """One array: number of dimensions, dtypes allowed, and the sidecar keys that must be there."""

    ndim: int
    dtypes: tuple[str, ...]
    meta: tuple[str, ...] = ()


@dataclass(frozen=True)
class Key:
    """One key of a JSON object: the types that its value may have, and whether it may be absent."""

    kinds: tuple[type, ...]
    optional: bool = False


TEXT, INT, FLOAT, BOOL = Column("text"), Column("int"), Column("float"), Column("bool")
FLOAT_OR_MISSING = Column("float", missing=True)

_POSITIONS = {
    "position": INT,  # row number; fixed for everyone who uses the atlas
    "patch": INT,
    "area": TEXT,
    "group": TEXT,
    "hemisphere": TEXT,  # L or R
    "x": FLOAT_OR_MISSING,  # MNI, mm; empty in padding rows
    "y": FLOAT_OR_MISSING,
    "z": FLOAT_OR_MISSING,
    "i": INT,  # index in the output grid; -1 in padding rows
    "j": INT,
    "k": INT,
}

TABLES: dict[str, dict[str, Column]] = {
    "annotations": {"onset": FLOAT, "duration": FLOAT, "shot": TEXT, "caption": TEXT},
    "annotations_of_movies": {
        "movie": TEXT,
        "onset": FLOAT,
        "duration": FLOAT,
        "shot": TEXT,
        "caption": TEXT,
    },
    "events": {
        "onset": FLOAT,
        "duration": FLOAT,
        "stim_file": Column("text", missing=True, optional=True),
        "stim_onset": Column("float", missing=True, optional=True),
    },
    "shots": {
        "shot": TEXT,
        "onset": FLOAT,
        "duration": FLOAT,
        "movie": Column("text", optional=True),  # where movies share a folder
    },
    "clips": {
        "clip": TEXT,
        "movie": TEXT,
        "index": INT,
        "start": FLOAT,
        "duration": FLOAT,
        "first_frame": INT,
        "n_frames": INT,
        "shot": TEXT,
        "cuts": INT,
        "caption": TEXT,
        "attributes": TEXT,  # JSON object, {} if none
        "batch": Column("text", optional=True),  # where movies share a folder
    },
    "positions": _POSITIONS,
    "voxels": {
        **_POSITIONS,
        "present": BOOL,
        "reliability": FLOAT_OR_MISSING,
        "selected": BOOL,
    },
    # preprocessed runs in their own folders; a path is missing if there is no such file
    "bold_runs": {
        "segment": TEXT,
        "repeat": INT,
        "bold": TEXT,
        "confounds": Column("text", missing=True),
        "mask": Column("text", missing=True),
        "space": TEXT,
        "resolution": FLOAT_OR_MISSING,  # mm; missing for CIFTI
        "kind": TEXT,  # volume or cifti
        "volumes": INT,
        "t_r": FLOAT,
        "start_time": FLOAT,  # s
        "pipeline": TEXT,  # fmriprep or hcp
    },
    "qc": {
        "run": TEXT,
        "volumes": INT,
        "mean_fd": FLOAT_OR_MISSING,  # mm; missing where head motion is not known
        "max_fd": FLOAT_OR_MISSING,
        "outliers": INT,
        "median_tsnr": FLOAT,
        "content": TEXT,  # hash of the raw run's voxels (of adopted derivatives: of theirs)
    },
    "sweep": {"lag": FLOAT, "window": INT, "score": FLOAT, "chosen": BOOL},
    # haemodynamic response of each area: 1 at its largest; delays in s
    "hrf": {
        "area": TEXT,
        "delay": FLOAT,
        "value": FLOAT,
        "source": TEXT,  # area, all areas or canonical
        "agreement": FLOAT_OR_MISSING,  # correlation of two halves, and its p; missing if not learnt
        "p": FLOAT_OR_MISSING,
    },
    # how well attributes are read from what the encoder predicts, and from responses directly
    "attributes": {
        "subject": TEXT,
        "attribute": TEXT,
        "source": TEXT,  # encoder, ridge (its predictions) or responses
        "value": FLOAT,
        "ci_low": FLOAT_OR_MISSING,
        "ci_high": FLOAT_OR_MISSING,
        "chance": FLOAT,
        "p": FLOAT_OR_MISSING,
        "difference": FLOAT_OR_MISSING,  # to responses
        "difference_low": FLOAT_OR_MISSING,
        "difference_high": FLOAT_OR_MISSING,
        "n": INT,
    },
    "windows": {
        "clip": TEXT,
        "segment": TEXT,
        "run": TEXT,
        "repeat": INT,
        "onset": FLOAT,  # of the clip, s from the start of the run
        "first_volume": INT,
        "window": INT,
        "lag": FLOAT,
        "split": TEXT,  # train, validation or test
        "shot": TEXT,
    },
    "noise_ceiling": {
        "position": INT,
        "repeats": INT,
        "reliability": FLOAT_OR_MISSING,
        "ceiling_single": FLOAT_OR_MISSING,
        "ceiling_mean": FLOAT_OR_MISSING,
        "split": TEXT,  # whose clips: test or train
    },
    # of a subject's response to test clips with the mean of the others'
    "intersubject": {
        "subject": TEXT,
        "position": INT,
        "correlation": FLOAT_OR_MISSING,
        "p": FLOAT_OR_MISSING,
        "clips": INT,
        "permutations": INT,
    },
    "corpus": {
        "shard": TEXT,
        "row": INT,
        "n": INT,
        "subject": TEXT,
        "run": TEXT,
        "t_r": FLOAT,
        "hash": TEXT,
    },
    "history": {"epoch": INT},  # a training's numbers, one row an epoch; 0 is the starting point
    # one volume of a held-out subject, z units
    "masked_example": {
        "position": INT,
        "present": BOOL,
        "hidden": BOOL,
        "truth": FLOAT,
        "prediction": FLOAT,
    },
    # in the order in which each segment showed its clips
    "clip_metrics": {
        "clip": TEXT,
        "segment": TEXT,
        "shot": TEXT,
        "method": TEXT,
        "condition": TEXT,
        "metric": TEXT,
        "definition": TEXT,
        "value": FLOAT_OR_MISSING,
    },
    "metrics": {
        "dataset": TEXT,
        "subject": TEXT,
        "segment": TEXT,
        "method": TEXT,
        "condition": TEXT,
        "metric": TEXT,
        "definition": TEXT,
        "value": FLOAT_OR_MISSING,
        "ci_low": FLOAT_OR_MISSING,
        "ci_high": FLOAT_OR_MISSING,
        "chance": FLOAT_OR_MISSING,
        "p": FLOAT_OR_MISSING,
        "n": INT,
        # p if the score were better and worse by a margin, see `boldreel.stats.permutation.Permutation`
        "p_low": Column("float", missing=True, optional=True),
        "p_high": Column("float", missing=True, optional=True),
        # p's number of arrangements N, and which way is better (higher, lower, neither)
        "permutations": Column("float", missing=True, optional=True),
        "better": Column("text", missing=True, optional=True),
        # of the model: share of the way from shuffled pairs (0) to the generator fed true features (1)
        "normalised": Column("float", missing=True, optional=True),
        # of the model: standard deviation between the seeds of the sampling noise, and their number
        "seed_sd": Column("float", missing=True, optional=True),
        "seeds": Column("float", missing=True, optional=True),
        # of the others: the model's value less this one on the same clips, and its paired permutation p
        "difference": Column("float", missing=True, optional=True),
        "p_difference": Column("float", missing=True, optional=True),
        # of retrieval: the most that decoding could reach with test data as noisy as these
        "ceiling": Column("float", missing=True, optional=True),
    },
    # one method less the other on the same clips; p of a paired permutation, corrected over metrics
    "between": {
        "subject": TEXT,
        "method": TEXT,
        "other": TEXT,
        "metric": TEXT,
        "definition": TEXT,
        "difference": FLOAT,
        "ci_low": FLOAT_OR_MISSING,
        "ci_high": FLOAT_OR_MISSING,
        "p": FLOAT_OR_MISSING,
        "p_corrected": FLOAT_OR_MISSING,
        "n": INT,
    },
    # attention that a position's patch receives, 1: its share if all were looked at alike
    "attention": {
        "stage": TEXT,  # pretrained, aligned, co-trained
        "layer": INT,
        "position": INT,
        "attention": FLOAT,
        "half_1": FLOAT,
        "half_2": FLOAT,
    },
    "attention_regions": {
        "stage": TEXT,
        "layer": INT,
        "atlas": TEXT,  # area, yeo17, or reliability: the correlation of both halves over patches
        "region": TEXT,
        "value": FLOAT,
        "null_low": FLOAT,  # 95 % of encoders with random weights
        "null_high": FLOAT,
        "p": FLOAT,
    },
    # two runs of the pipeline; first, second: means over each one's own clips
    "compare": {
        "subject": TEXT,
        "method": TEXT,
        "metric": TEXT,
        "definition": TEXT,
        "first": FLOAT_OR_MISSING,
        "second": FLOAT_OR_MISSING,
        "difference": FLOAT,
        "ci_low": FLOAT_OR_MISSING,
        "ci_high": FLOAT_OR_MISSING,
        "p": FLOAT_OR_MISSING,
        "p_corrected": FLOAT_OR_MISSING,
        "n": INT,
    },
    # the method `linear`: principal components of layers, what of each position enters them, read-outs
    "linear_scores": {
        "layer": TEXT,  # early or late
        "component": INT,
        "variance": FLOAT,  # share of the layer's
        "correlation": FLOAT,  # in left-out segments
        "alpha": FLOAT,
    },
    "linear_weights": {"layer": TEXT, "position": INT, "weight": FLOAT, "pattern": FLOAT},
    "categories": {"clip": TEXT, "category": TEXT, "probability": FLOAT},
    "nearest": {"clip": TEXT, "nearest": TEXT, "correlation": FLOAT},
    "unpaired_videos": {"movie": TEXT, "clips": INT, "like_test": INT},
    # retrieval against minutes of a subject's training data; training: with others ("pooled") or "alone"
    "minutes": {
        "subject": TEXT,
        "minutes": FLOAT,
        "training": TEXT,
        "metric": TEXT,
        "value": FLOAT,
        "ci_low": FLOAT_OR_MISSING,
        "ci_high": FLOAT_OR_MISSING,
        "chance": FLOAT,
        "p": FLOAT_OR_MISSING,
        "n": INT,
    },
    # retrieval by ridge on all positions, one group of areas, all others, or a control's areas
    "rois": {
        "subject": TEXT,
        "group": TEXT,
        "part": TEXT,
        "positions": INT,
        "metric": TEXT,
        "value": FLOAT,
        "ci_low": FLOAT_OR_MISSING,
        "ci_high": FLOAT_OR_MISSING,
        "chance": FLOAT,
        "p": FLOAT_OR_MISSING,
        "n": INT,
    },
    # retrieval against the number of test repeats that are averaged, mean over sets of them
    "repeats": {
        "subject": TEXT,
        "repeats": INT,
        "sets": INT,
        "condition": TEXT,
        "metric": TEXT,
        "value": FLOAT,
        "ci_low": FLOAT_OR_MISSING,
        "ci_high": FLOAT_OR_MISSING,
        "chance": FLOAT,
        "p": FLOAT_OR_MISSING,
        "n": INT,
    },
    # what a training without one of its parts earns on each test clip
    "ablation_clips": {
        "subject": TEXT,
        "ablation": TEXT,
        "seed": INT,
        "clip": TEXT,
        "shot": TEXT,
        "metric": TEXT,
        "value": FLOAT,
        "chance": FLOAT,
    },
    # the same, and the difference to the training with all parts
    "ablation": {
        "subject": TEXT,
        "ablation": TEXT,
        "metric": TEXT,
        "value": FLOAT,
        "ci_low": FLOAT_OR_MISSING,
        "ci_high": FLOAT_OR_MISSING,
        "chance": FLOAT,
        "difference": FLOAT,
        "difference_low": FLOAT_OR_MISSING,
        "difference_high": FLOAT_OR_MISSING,
        "seeds": INT,
        "n": INT,
    },
    # which clips another method's videos are, for evaluating them alone; more columns: attributes
    "clip_list": {
        "clip": TEXT,
        "run": Column("text", optional=True),
        "shot": Column("text", optional=True),
    },
    "matching": {
        "clip": TEXT,
        "frames_truth": INT,
        "frames_reconstruction": INT,
        "frames_compared": INT,
        "seconds_truth": FLOAT_OR_MISSING,  # missing where the format has no times
        "seconds_reconstruction": FLOAT_OR_MISSING,
        "size_truth": TEXT,  # width x height
        "size_reconstruction": TEXT,
        "size_compared": TEXT,
    },
    "movie_cuts": {
        "movie": TEXT,  # its first clip
        "seconds": FLOAT,
        "clip": TEXT,
        "between_clips": BOOL,
    },
    "published": {
        "system": TEXT,
        "subject": TEXT,
        "metric": TEXT,
        "definition": TEXT,
        "value": FLOAT,
        "chance": FLOAT_OR_MISSING,
        "basis": TEXT,  # read or recalled
        "source": TEXT,
    },
}

ARRAYS: dict[str, ArrayKind] = {
    "frames": ArrayKind(4, ("uint8",), ("frame_rate",)),  # (frames, height, width, 3)
    "unpaired_clips": ArrayKind(
        5, ("uint8",), ("frame_rate",)
    ),  # (clips, frames, height, width, 3)
    "image_features": ArrayKind(2, ("float32",)),  # (frames, D), unit norm
    "text_features": ArrayKind(2, ("float32",)),  # (clips, D), unit norm
    "variants": ArrayKind(3, ("float32",)),  # (clips, variants, D), unit norm
    "condition": ArrayKind(3, ("float32",)),  # (clips, tokens, width)
    "motion": ArrayKind(2, ("float32",), ("columns",)),  # (clips, columns), models.motion
    "sketch": ArrayKind(4, ("float32",), ("channels",)),  # (clips, channels, 8, 8), models.sketch
    # (features, samples), the embedded data set's stimulus time courses; interval in s
    "drive": ArrayKind(2, ("float32",), ("movie", "interval", "blocks")),
    "series": ArrayKind(2, ("float32",), ("t_r", "start_time", "run", "segment", "repeat")),
    "corpus": ArrayKind(2, ("float32",)),  # (volumes, V)
    "presence": ArrayKind(2, ("bool",)),  # (runs of the corpus, V)
    "correlation": ArrayKind(2, ("float32",)),  # (V, V), of noise
    "latents": ArrayKind(4, ("float16", "float32")),  # (frames, channels, height, width)
    "reconstruction": ArrayKind(5, ("uint8",), ("clips", "frame_rate", "seed")),
    # (clips, samples, frames, height, width, 3), the first sample is the reconstruction
    "samples": ArrayKind(6, ("uint8",), ("clips", "frame_rate", "seed")),
    # What a frozen judge sees in clips: (clips, frames, classes or D) or (clips, classes)
    "frame_readings": ArrayKind(3, ("float32",), ("clips",)),
    "clip_readings": ArrayKind(2, ("float32",), ("clips",)),
    "flow_readings": ArrayKind(5, ("float16",), ("clips",)),  # (clips, frames - 1, 2, side, side)
    "layer_readings": ArrayKind(3, ("float16",), ("clips",)),  # (clips, frames, D), unit norm
    "text_readings": ArrayKind(
        2, ("uint8",), ("clips",)
    ),  # (clips, bytes), UTF-8, zeros at the end
    "prediction": ArrayKind(2, ("float32",)),  # (clips, D)
    "set_predictions": ArrayKind(3, ("float32",), ("sets",)),  # (sets of repeats, clips, D)
    # (clips, K), predictions of training clips that did not see them, and their noise (K, K)
    "left_out": ArrayKind(2, ("float32",), ("clips", "showings")),
    "left_out_noise": ArrayKind(2, ("float32",)),
}

_NUMBER = (int, float)
DOCUMENTS: dict[str, dict[str, Key]] = {
    "noise": {
        "weight": Key(_NUMBER),  # of the curve, against the sample correlation
        "volumes": Key((int,)),
        "subjects": Key((list,)),
        "curve": Key((dict,)),  # fields of models.noise.DistanceCurve
    },
    "choice": {
        "lag": Key(_NUMBER),  # s
        "window": Key((int,)),  # volumes
        "subject": Key((str,), optional=True),
        "source": Key((str,), optional=True),  # sweep, default or config
        "note": Key((str,), optional=True),
        "lag_estimate": Key((*_NUMBER, type(None)), optional=True),  # s; none without signal
        "hrf": Key((str,), optional=True),  # mode
        "p": Key((*_NUMBER, type(None)), optional=True),  # none without a possible shift
        "permutations": Key((int,), optional=True),
    },
    "overlaps": {
        "held": Key((dict,)),  # {split: {stimulus: stretches of it, s}} of what several splits show
        "movies": Key((dict,)),  # {stimulus: its name in the results}
    },
    "audit": {
        "splits": Key((dict,)),
        "captions": Key((dict,), optional=True),
        "frames": Key((dict,), optional=True),
        "attributes": Key((dict,), optional=True),
        "cuts": Key((dict,), optional=True),
        "repeats": Key((dict,), optional=True),
        "overlap": Key((dict,), optional=True),
        "betas": Key((dict,), optional=True),  # only of single-trial betas
    },
}

"""Step: how well attributes of clips are read from what the encoder predicts, and from responses directly.

Reads the aligned encoder, its left-out predictions of training clips, windows, series, voxels, clips and
features of one subject; writes a table with a row for each attribute and source. Both readings are linear
discriminant analysis on training clips: of the components of predicted embeddings and motion, each in units
of its spread, or of left-out scores of a ridge regression from responses to the labels. What responses hold
and the encoder's predictions do not was lost in the encoder. Test windows are scored and never fitted.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.align import identify
from boldreel.align.inputs import ask, read_files, trial_files
from boldreel.data import provenance, tables
from boldreel.data.left_out import LeftOut
from boldreel.errors import UserError
from boldreel.probe import significance
from boldreel.probe.predictions import Predictions
from boldreel.probe.settings import RetrievalSettings
from boldreel.settings import read
from boldreel.step import parser, run

if TYPE_CHECKING:
    import pandas as pd

    from boldreel.align.linear import Groups
    from boldreel.align.ridge import Split

# Share of the embeddings' variance in the components that are read: by left-out segments of the demo,
# .97 reads more than .999 or all columns.
VARIANCE, AT_MOST = 0.97, 512
# Training clips of a value, below which it cannot be learnt to be read: names and ratings have more values.
FEWEST = 3
COLUMNS = ["subject", "attribute", "source", "value", "ci_low", "ci_high", "chance", "p"]
COLUMNS += ["difference", "difference_low", "difference_high", "n"]


@dataclass(frozen=True)
class Labels:
    """Attributes of clips as numbers.

    names : of the attributes; values : of each, its values in training.
    training, test : int (attributes, clips), -1 where the value is unknown.
    """

    names: list[str]
    values: list[np.ndarray]
    training: np.ndarray
    test: np.ndarray

    @classmethod
    def of(cls, training: list[dict[str, str]], test: list[dict[str, str]]) -> Labels:
        """The attributes of every training clip that can be read.

        They have two values or more, each on at least FEWEST clips, one of which a test clip has.
        """
        shown = dict.fromkeys(name for attributes in test for name in attributes)
        names, values = [], []
        numbers: tuple[list[list[int]], list[list[int]]] = ([], [])
        for name in shown:
            if not all(name in attributes for attributes in training):
                continue
            found, count = np.unique([str(a[name]) for a in training], return_counts=True)
            number = {value: k for k, value in enumerate(found)}
            known = any(str(attributes.get(name)) in number for attributes in test)
            if len(found) < 2 or count.min() < FEWEST or not known:
                continue
            names.append(name)
            values.append(found)
            for out, clips in zip(numbers, (training, test), strict=True):
                out.append([number.get(str(attributes.get(name)), -1) for attributes in clips])
        return cls(names, values, np.array(numbers[0]), np.array(numbers[1]))

    @property
    def groups(self) -> Groups:
        """The columns of each attribute in `coded`."""
        ends = np.cumsum([len(values) for values in self.values])
        return {
            name: slice(int(end) - len(values), int(end))
            for name, values, end in zip(self.names, self.values, ends, strict=True)
        }

    @property
    def coded(self) -> np.ndarray:
        """Training labels, a column for each value, minus its frequency: (clips, columns)."""
        parts = [
            (row[:, None] == np.arange(len(values))).astype(np.float64)
            for row, values in zip(self.training, self.values, strict=True)
        ]
        together = np.concatenate(parts, axis=1)
        return together - together.mean(0)


def of_predictions(
    predicted: np.ndarray, test: np.ndarray, labels: Labels
) -> dict[str, np.ndarray]:
    """Scores (test clips, values) of each attribute; the largest is what was read.

    predicted : (training clips, D), predictions that did not see their clips; test : (test clips, D)
    """
    size = np.maximum(predicted.std(0), 1e-9 * max(float(predicted.std()), 1e-30))
    return {
        name: discriminant(predicted / size, truth, test / size)
        for name, truth in zip(labels.names, labels.training, strict=True)
    }


def of_responses(
    x: np.ndarray, clip: np.ndarray, split: Split, test: np.ndarray, labels: Labels
) -> dict[str, np.ndarray]:
    """Scores as `of_predictions` gives them, from responses by ridge regression to the labels.

    Parameters
    ----------
    x : (rows, width), training rows of clips `clip` (rows,); split : what is left out together
    test : (test clips, width)
    """
    from boldreel.align import ridge

    y = labels.coded[clip]
    chosen = ridge.choose_alphas(x, y, split, clip, labels.groups)
    penalties = {name: alpha for name, (alpha, _) in chosen.items()}
    rows = ridge.left_out(x, y, split, penalties, labels.groups)
    weight, bias = ridge.fit(x, y, penalties, labels.groups)
    guess = test @ weight + bias
    left = np.zeros((labels.training.shape[1], rows.shape[1]))
    np.add.at(left, clip, rows)
    left /= np.bincount(clip, minlength=len(left))[:, None]
    return {
        name: discriminant(left[:, columns], truth, guess[:, columns])
        for (name, columns), truth in zip(labels.groups.items(), labels.training, strict=True)
    }


def discriminant(known: np.ndarray, truth: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Log-probabilities (n, classes) by linear discriminant analysis with classes equally likely.

    The covariance is shrunk by Ledoit and Wolf's rule.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    classes = len(np.unique(truth))
    model = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage="auto", priors=np.full(classes, 1 / classes)
    )
    return model.fit(known, truth).predict_log_proba(test)


def compare(
    read_from: dict[str, dict[str, np.ndarray]],
    labels: Labels,
    pool: significance.Pool,
    subject: str,
) -> pd.DataFrame:
    """The table; differences are to the source "responses"."""
    import pandas as pd

    every = np.ones(pool.size, dtype=bool)
    rows: list[dict[str, Any]] = []
    for number, name in enumerate(labels.names):
        truth = labels.test[number]
        right = {}
        for source, found in read_from.items():
            outcome = identify.classification(found[name], truth)
            right[source] = np.diag(outcome.matrix).copy()
            result = significance.summarise(outcome, every, pool)
            row: dict[str, Any] = {"subject": subject, "attribute": name, "source": source}
            for key in ("value", "ci_low", "ci_high", "chance", "p", "n"):
                row[key] = getattr(result, key)
            rows.append(row)
        for row in rows[-len(read_from) :]:
            difference = right[row["source"]] - right["responses"]
            gap = pool.inference.mean(difference, every)
            same = row["source"] == "responses"
            row["difference"] = np.nan if same else gap.value
            row["difference_low"] = np.nan if same else gap.ci_low
            row["difference_high"] = np.nan if same else gap.ci_high
    return pd.DataFrame(rows, columns=COLUMNS)


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--subject", required=True)
    arguments.add_argument("--align", type=Path, required=True)
    arguments.add_argument("--test", type=Path, required=True, help="folder that encode left")
    arguments.add_argument("--left-out", type=Path, required=True)
    ask(arguments)
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(RetrievalSettings, args.config, "evaluate")

    from boldreel.align import linear, ridge
    from boldreel.align.data import load_trials
    from boldreel.align.latent import Latent
    from boldreel.models.encoder import SpatioTemporalEncoder
    from boldreel.training.loop import set_threads

    set_threads()
    encoder = SpatioTemporalEncoder.from_pretrained(args.align / "model")
    left_out = LeftOut.load(args.left_out)
    files = trial_files(args)
    known = load_trials(*files, ("train", "validation"), encoder.config.window)
    known = known.take(np.isin(np.array(known.features.clips)[known.clip], left_out.clips))
    if set(left_out.clips) != set(known.features.clips):
        raise UserError(f"{args.left_out}: other clips than in the windows; align again")
    predicted = left_out.take(known.features.clips).values
    test = load_trials(*files, "test", encoder.config.window)
    labels = Labels.of(known.features.attributes, test.features.attributes)
    shots = np.asarray(test.features.shots)
    pool = significance.Pool(test.segments, shots, test.onsets, settings)
    read_from: dict[str, dict[str, np.ndarray]] = {}
    if labels.names:
        shown = test.features.clips
        stored = Predictions.read(args.test, sorted(shown))
        assert stored.columns is not None  # without a read-out there are no left-out predictions
        decoded = stored.columns[np.argsort(np.argsort(shown))]
        latent = Latent.of(known.features, VARIANCE, AT_MOST)
        targets = linear.Targets(encoder.readout.basis.numpy() if encoder.readout else np.empty(0))
        where = targets.groups(known.features)
        in_columns = [np.r_[where["image"], where["text"]], np.r_[where["motion"]]]

        def components(values: np.ndarray) -> np.ndarray:
            motion = values[:, in_columns[1]] * linear.spread(known.features.motion)
            return np.concatenate(
                [values[:, in_columns[0]] @ latent.axes[0], motion @ latent.axes[1]], axis=1
            )

        read_from["encoder"] = of_predictions(components(predicted), components(decoded), labels)
        used = encoder.present.numpy()
        x = np.where(used, known.x, 0).reshape(len(known.x), -1)
        far = np.where(used, test.averaged(), 0).reshape(len(test.features.clips), -1)
        read_from["responses"] = of_responses(x, known.clip, ridge.Split.of(known), far, labels)
    table = compare(read_from, labels, pool, args.subject)
    tables.write(args.output, table, "attributes")
    provenance.record(
        args.output,
        inputs=[
            args.align / "model",
            args.test,
            args.left_out,
            *read_files(args, ("train", "validation", "test")),
        ],
        config=asdict(settings),
        seed=settings.seed,
        started=started,
    )
    for row in table.itertuples():
        print(f"{row.attribute} from {row.source}: {row.value:.3f} (chance {row.chance:.3f})")


if __name__ == "__main__":
    run(main)

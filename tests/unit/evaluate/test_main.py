"""Any method's videos alone: known truths, the pipeline's own numbers, and bad input."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from boldreel.data import arrays, tables
from boldreel.data.frames import resize
from boldreel.data.reconstructions import Reconstruction
from boldreel.errors import UserError
from boldreel.evaluate import __main__ as alone
from boldreel.evaluate import score
from boldreel.report import labels

CONFIG = {"seed": 3, "permutations": 300, "n_way": [2, 10], "page_clips": 2}
FILES = {"metrics.tsv", "clips.tsv", "matching.tsv", "report.html", "provenance.json"}
FILES |= {f"scores.{kind}" for kind in ("tsv", "csv", "json", "tex")}


def save(folder, named):
    folder.mkdir(parents=True, exist_ok=True)
    for name, frames in named.items():
        np.save(folder / f"{name}.npy", frames)
    return folder


def blobs(seed, count=20, frames=3, side=16):
    """{name: clip} of coarse random colours, so that clips are unlike each other."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, frames, 4, 4, 3), dtype=np.uint8)
    return {f"clip{k}": c for k, c in enumerate(coarse.repeat(side // 4, 2).repeat(side // 4, 3))}


def run(truth, made, out, *more, **config):
    if truth == made:  # one folder is refused
        made = shutil.copytree(
            truth, out.parent.parent / f"{out.parent.name} made", dirs_exist_ok=True
        )
    line = ["--truth", str(truth), "--reconstruction", str(made), "--out", str(out)]
    alone.main([*line, "--config", json.dumps({**CONFIG, **config}), *map(str, more)])
    return tables.read(out / "metrics.tsv", "metrics")


def value(table, metric, condition="model", segment="all", column="value", definition=None):
    kept = table[(table["metric"] == metric) & (table["condition"] == condition)]
    kept = kept[kept["segment"] == segment]
    kept = kept if definition is None else kept[kept["definition"] == definition]
    return kept[column].iloc[0]


@pytest.fixture(scope="module")
def same(tmp_path_factory):
    """A folder scored against its copy."""
    root = tmp_path_factory.mktemp("same")
    truth, made = (save(root / name, blobs(0)) for name in ("truth", "made"))
    return root, run(truth, made, root / "out", "--name", "Copy <1>")


def test_identical_folders(same):
    root, table = same
    assert {path.name for path in (root / "out").iterdir()} == FILES
    assert set(table["condition"]) == {"model", "shuffled", "gray", "true_colour"}
    assert value(table, "ssim") == pytest.approx(1, abs=1e-9)
    assert value(table, "mse") == 0
    assert value(table, "pixel_correlation") == pytest.approx(1, abs=1e-6)
    assert value(table, "motion_change") == 1
    assert value(table, "ssim", "shuffled") < 0.3
    assert value(table, "ssim", column="p") == pytest.approx(1 / 20)
    # A clip's mean colour leaves exactly its variance within the three channels.
    variance = np.mean([clip.reshape(-1, 3).var(axis=0).mean() for clip in blobs(0).values()])
    assert value(table, "mse", "true_colour") == pytest.approx(variance, rel=1e-3)
    assert value(table, "mse", "gray") > value(table, "mse", "true_colour")


def test_page_of_scores_without_subject(same):
    root, table = same
    page = (root / "out" / "report.html").read_text()
    assert "sub-" not in page and "Copy &lt;1&gt;" in page and "Copy <1>" not in page
    assert f"<b>{labels.number(value(table, 'ssim'))}</b>" in page
    # two clips, and best, median and worst of all: truth and reconstruction
    assert page.count("data:video/mp4") == 4 + 6
    assert "Mean colour" in page and "Upper bound" not in page and "Ridge" not in page
    assert "Identification by frame: needs an image classifier" in page
    assert "Too few clips to tell Copy" in page, "19 shifts, two metrics: no p could pass"
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    trace = json.loads((root / "out" / "provenance.json").read_text())
    assert trace["target"] == str(root / "out") and trace["seed"] == 3


def test_gif_pair_is_the_array_pair(tmp_path):
    def written(seed, kind):
        rng = np.random.default_rng(seed)
        folder = tmp_path / f"{kind}{seed}"
        folder.mkdir()
        for k in range(8):
            # Colours of a coarse cube: few enough for GIF to hold them exactly.
            frames = rng.integers(0, 3, (6, 12, 12, 3), dtype=np.uint8) * 100
            frames[3] = frames[2]
            if kind == "npy":
                np.save(folder / f"{k}.npy", frames)
            else:
                first, *rest = map(Image.fromarray, frames)
                more = {"save_all": True, "append_images": rest, "duration": 330}
                first.save(folder / f"{k}.gif", **more)
        return folder

    by_gif = run(written(1, "gif"), written(2, "gif"), tmp_path / "a", "--name", "m")
    by_array = run(written(1, "npy"), written(2, "npy"), tmp_path / "b", "--name", "m")
    pd.testing.assert_frame_equal(by_gif, by_array)
    how = tables.read(tmp_path / "a" / "matching.tsv", "matching")
    assert (how["frames_truth"] == 6).all() and (how["frames_compared"] == 6).all()


def test_unequal_frames_and_sizes(tmp_path):
    """Six true frames against three, and a truth of twice the size: the pictures of the same times."""
    full = blobs(0, frames=6)
    truth = save(tmp_path / "t", {n: c.repeat(2, 1).repeat(2, 2) for n, c in full.items()})
    third = {n: resize(c.repeat(2, 1).repeat(2, 2), (16, 16))[::2] for n, c in full.items()}
    table = run(truth, save(tmp_path / "r", third), tmp_path / "out")
    assert value(table, "mse") == 0
    how = tables.read(tmp_path / "out" / "matching.tsv", "matching").iloc[0]
    assert (how["frames_truth"], how["frames_reconstruction"], how["frames_compared"]) == (6, 3, 3)
    assert (how["size_truth"], how["size_compared"]) == ("32x32", "16x16")
    asked = run(truth, tmp_path / "r", tmp_path / "asked", "--frames", 2, "--size", 24)
    how = tables.read(tmp_path / "asked" / "matching.tsv", "matching").iloc[0]
    assert (how["frames_compared"], how["size_compared"]) == (2, "24x24")
    assert value(asked, "mse") > 0


def test_names_missing_on_a_side(tmp_path, capsys):
    named = blobs(0)
    truth = save(tmp_path / "t", named)
    made = {name: clip for name, clip in named.items() if name != "clip7"}
    made["extra"] = named["clip0"]
    table = run(truth, save(tmp_path / "r", made), tmp_path / "out")
    said = capsys.readouterr().err
    assert "1 clip only in" in said and ": clip7." in said and ": extra." in said
    assert value(table, "ssim", column="n") == 19
    order = tables.read(tmp_path / "out" / "matching.tsv", "matching")["clip"]
    assert list(order) == [f"clip{k}" for k in range(20) if k != 7]


def test_random_noise_is_not_above_chance(tmp_path):
    """Under no signal p is uniform: its median over draws of noise lies far above .05."""
    truth = save(tmp_path / "t", blobs(0, 24, frames=1))
    found = []
    for seed in range(5):
        rng = np.random.default_rng([8, seed])
        noise = {f"clip{k}": rng.integers(0, 256, (1, 16, 16, 3), np.uint8) for k in range(24)}
        made = save(tmp_path / f"r{seed}", noise)
        table = run(truth, made, tmp_path / "out", "--name", "noise", page_clips=0)
        found.append(table[(table["condition"] == "model") & table["p"].notna()])
        assert (found[-1]["permutations"] == 23).all()
    p = pd.concat(found).groupby(["metric", "definition"])["p"].median()
    assert len(p) == 7 and (p > 0.05).all()


def test_numbers_are_those_of_the_pipeline(tree, judges, tmp_path):
    """The demo's shards written out as a folder of arrays, with runs, shots and attributes."""
    models = ["--image-classifier", judges / "image"]
    home = tree / "sub-01"
    config = {**CONFIG, "shifts": 5}
    del config["page_clips"]
    score.main(
        [
            *("--reconstruction", str(home / "reconstruction" / "mindvideo")),
            *("--stimuli", str(tree / "stimuli"), "--clips", str(tree / "clips.parquet")),
            *("--windows", str(home / "windows.parquet"), "--subject", "01"),
            *("--output-clips", str(tmp_path / "c.parquet")),
            *("--output-scores", str(tmp_path / "s.tsv"), "--config", json.dumps(config)),
            *map(str, models),
        ]
    )
    own = tables.read(tmp_path / "s.tsv", "metrics")
    made = Reconstruction([home / "reconstruction" / "mindvideo"])
    listed = tables.read(tree / "clips.parquet", "clips")
    windows = tables.read(home / "windows.parquet", "windows")
    test, _ = score.split_clips(listed, windows)
    test = test[test["clip"].isin(made.names)].sort_values(["segment", "movie", "index"])
    whole = {}
    for row in test.itertuples():
        movie, _ = arrays.load(tree / "stimuli" / row.movie / "frames.npy", kind="frames")
        whole[row.clip] = np.asarray(movie[row.first_frame : row.first_frame + row.n_frames])
    save(tmp_path / "t", whole)
    save(tmp_path / "r", {name: made.frames([name])[0] for name in whole})
    told = pd.DataFrame([json.loads(text) for text in test["attributes"]])
    told.insert(0, "shot", test["shot"].to_numpy())
    told.insert(0, "run", test["segment"].to_numpy())
    told.insert(0, "clip", test["clip"].to_numpy())
    told.to_csv(tmp_path / "clips.tsv", sep="\t", index=False)
    table = run(
        *(tmp_path / "t", tmp_path / "r", tmp_path / "out", "--name", "mindvideo"),
        *("--clips", tmp_path / "clips.tsv", *models),
        shifts=5,
    )
    keys = ["segment", "condition", "metric", "definition"]
    both = own.merge(table, on=keys, suffixes=("", "_alone"))
    both = both[~both["segment"].isin(["seen", "unseen"])]
    assert {"nway_frame", "judge_colour", "ssim", "motion_change"} <= set(both["metric"])
    assert set(both["condition"]) == {"model", "shuffled", "gray", "true_colour", "truth"}
    assert set(both["segment"]) == {"all", "test01", "test02"}
    assert len(both) > 60
    for column in ("value", "ci_low", "ci_high", "chance", "p", "n", "permutations"):
        np.testing.assert_allclose(both[column], both[f"{column}_alone"], atol=1e-5, err_msg=column)


def test_table_of_clips(tmp_path, capsys):
    folder = save(tmp_path / "t", blobs(0))

    def listed(rows, *columns):
        (tmp_path / "l.tsv").write_text("\n".join("\t".join(r) for r in [columns, *rows]) + "\n")
        return run(folder, folder, tmp_path / "out", "--clips", tmp_path / "l.tsv")

    rows = [(f"clip{k}", "ab"[k % 2], str(k // 4)) for k in range(12)]
    table = listed([*rows, ("clip99", "a", "0")], "clip", "run", "shot")
    assert set(table["segment"]) == {"all", "a", "b"}
    assert value(table, "ssim", segment="a", column="n") == 6
    shots = tables.read(tmp_path / "out" / "clips.tsv", "clip_metrics")["shot"]
    assert set(shots) == {f"{r} {s}" for r in "ab" for s in "012"}
    said = capsys.readouterr().err
    assert "clip99." in said and "8 clips not in the table" in said
    with pytest.raises(UserError, match="clip0 is there twice"):
        listed([("clip0", "a"), ("clip0", "b")], "clip", "run")
    with pytest.raises(UserError, match="none of its clips"):
        listed([("x",)], "clip")
    with pytest.raises(UserError, match="'clip' is missing"):
        listed([("clip0",)], "name")
    with pytest.raises(UserError, match="a run is called 'seen'"):
        listed([("clip0", "seen"), ("clip1", "b")], "clip", "run")


def test_mistakes_leave_nothing(tmp_path):
    folder = save(tmp_path / "t", blobs(0, 3))
    other = save(tmp_path / "r", {"another": blobs(0, 1)["clip0"]})

    def refused(match, truth, made, *more):
        with pytest.raises(UserError, match=match) as caught:
            run(truth, made, tmp_path / "out", *more)
        assert "\n" not in str(caught.value)
        assert {path.name for path in tmp_path.iterdir()} <= {"t", "r"}

    refused("no such folder", tmp_path / "x", folder)
    refused("has a partner of the same name", folder, other)
    refused("--frames is 0", folder, folder, "--frames", 0)
    refused("table not found", folder, folder, "--clips", tmp_path / "no.tsv")
    refused(r"models\.clip: .*config\.json is missing", folder, folder, "--clip-model", tmp_path)
    (folder / "clip2.npy").write_bytes(b"broken")
    refused("clip2.npy: not a readable array", folder, folder)


def test_files_that_were_there_stay(tmp_path):
    folder = save(tmp_path / "t", blobs(0, 3))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    run(folder, folder, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES | {"mine.txt"}
    assert {path.name for path in tmp_path.iterdir()} == {"t", "out"}


def test_the_truths_own_folder_and_more_frames_than_there_are(tmp_path, capsys, monkeypatch):
    truth = save(tmp_path / "a", blobs(0, 2))
    (tmp_path / "link").symlink_to("a")
    with pytest.raises(UserError, match="the truth's own folder"):
        run(truth, tmp_path / "link", tmp_path / "out")
    made = save(tmp_path / "b", blobs(1, 2))
    run(truth, made, tmp_path / "out", "--frames", "5", page_clips=0)
    assert "The shortest clip has 3 pictures: at 5 times" in capsys.readouterr().err
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UserError, match="no permission to write"):
        run(truth, made, tmp_path / "new" / "out")


def test_methods_next_to_each_other(tmp_path):
    """On the clips that all have: differences with tests, ranks, and the table in every format."""
    true = blobs(0, 12, frames=1)  # no motion, which takes longest
    rng = np.random.default_rng(1)
    near, far = (
        {
            n: np.clip(c + rng.normal(0, size, c.shape), 0, 255).astype(np.uint8)
            for n, c in true.items()
        }
        for size in (10, 90)
    )
    far.pop("clip11")
    truth = save(tmp_path / "t", true)
    folders = {"good_1": save(tmp_path / "a", near), "poor": save(tmp_path / "b", far)}
    words = [word for name, path in folders.items() for word in ("--method", f"{name}={path}")]
    out = tmp_path / "out"
    line = ["--truth", str(truth), "--out", str(out), *words]
    alone.main([*line, "--config", json.dumps(CONFIG)])
    assert {path.name for path in out.iterdir()} == FILES | {"between.tsv"}
    wide = pd.read_csv(out / "scores.tsv", sep="\t").set_index(["metric", "definition"])
    assert (wide["n"] == 11).all()
    assert wide.loc[("ssim", "rgb_uniform"), ["good_1 rank", "poor rank"]].tolist() == [1, 2]
    assert wide.loc[("mse", "rgb"), ["good_1 rank", "poor rank"]].tolist() == [1, 2]
    pd.testing.assert_frame_equal(wide, pd.read_csv(out / "scores.csv").set_index(wide.index.names))
    for row in json.loads((out / "scores.json").read_text()):
        here = wide.loc[(row["metric"], row["definition"])]
        assert row["methods"]["poor"]["value"] == pytest.approx(here["poor value"])
        assert row["computed"] and row["shows"]
    tex = (out / "scores.tex").read_text().splitlines()
    assert tex[1] == r"\begin{tabular}{llrr}" and r"good\_1" in tex[3]
    body = tex[tex.index(r"\midrule") + 1 : tex.index(r"\bottomrule")]
    assert len(body) == len(wide) and all(len(re.findall(r"(?<!\\)&", row)) == 3 for row in body)
    assert r"\textbf{" in body[0].split("&")[2]
    table = tables.read(out / "between.tsv", "between").set_index(["metric", "definition"])
    assert table.loc[("ssim", "rgb_uniform"), "difference"] > 0
    page = (out / "report.html").read_text()
    assert "good_1 less poor" in page or "Not compared" in page
    with pytest.raises(UserError, match="is there twice"):
        alone.main([*line, "--method", f"again={folders['poor']}"])
    with pytest.raises(UserError, match="either --reconstruction"):
        alone.main([*line, "--reconstruction", str(folders["poor"])])

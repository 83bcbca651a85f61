"""The tiny base models: the shipped ones load and work, and the command that makes them runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from boldreel.insilico import labels
from boldreel.insilico.base_models import __main__ as command
from boldreel.insilico.base_models import clip, corpus, fit, gates, judge, vae
from boldreel.insilico.world import CLASSES, HELD_OUT, sample_scene

SHIPPED = Path(__file__).parents[3] / "resources" / "insilico"
MODEL_FOLDERS = ("clip", "diffusion", "image_classifier", "video_classifier", "video")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_shipped_files_are_small_half_precision_and_complete() -> None:
    from safetensors import safe_open

    weights = [path for name in MODEL_FOLDERS for path in (SHIPPED / name).rglob("*.safetensors")]
    assert len(weights) == 8
    for path in weights:
        assert path.stat().st_size < 10_000_000
        with safe_open(path, "pt") as opened:
            kinds = {opened.get_slice(key).get_dtype() for key in opened.keys()}  # noqa: SIM118
        assert kinds <= {"F16", "I64"}, path
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 26_000_000


def recorded() -> dict[str, float]:
    """What gates.json says was measured on the shipped models."""
    return {row["name"]: row["value"] for row in json.loads((SHIPPED / "gates.json").read_text())}


def test_readme_and_verdicts_are_what_was_measured() -> None:
    page = (SHIPPED / "README.md").read_text()
    for row in json.loads((SHIPPED / "gates.json").read_text()):
        met = None if row["least"] is None else row["value"] >= row["least"]
        assert row["met"] == met, row
        assert f"| {row['name']} | {row['value']:.3f} |" in page, row["name"]


def test_gates_are_met() -> None:
    rows = json.loads((SHIPPED / "gates.json").read_text())
    assert [row["name"] for row in rows if row["met"] is False] == []
    assert sum(row["met"] is True for row in rows) >= 20


def test_shipped_image_classifier_reads_held_out_frames_as_recorded(tmp_path: Path) -> None:
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(
        SHIPPED / "image_classifier", dtype=torch.float32
    )
    processor = AutoImageProcessor.from_pretrained(SHIPPED / "image_classifier", backend="pil")
    test = corpus.build(tmp_path / "frames", 64, 1, seed=987, held_out=True, name="test")
    pictures = [Image.fromarray(frame) for frame in test.frames[:, 0]]
    with torch.no_grad():
        read = model(**processor(pictures, return_tensors="pt")).logits.argmax(1).numpy()
    found = judge.factor_accuracy(read, test.labels, judge.KEYS)
    for key, value in found.items():
        # 64 frames against the record's own sample
        assert value >= recorded()[f"image classifier {key}, raw held_out frames"] - 0.1, found
    says = labels.label_factors(model.config.id2label)
    assert says[int(read[0])][1] == test.scene(0).colour


def test_shipped_video_classifier_loads_through_auto_classes() -> None:
    from transformers import AutoImageProcessor, AutoModelForVideoClassification

    folder = SHIPPED / "video_classifier"
    model = AutoModelForVideoClassification.from_pretrained(folder, dtype=torch.float32)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    frames = list(np.zeros((6, 64, 64, 3), dtype=np.uint8))
    with torch.no_grad():
        logits = model(**processor(frames, return_tensors="pt")).logits
    assert logits.shape == (1, len(labels.video_labels()))
    assert set(labels.label_factors(model.config.id2label).values()) == {
        tuple(label.replace(" moving", "").split()[i] for i in (1, 0, 2))
        for label in labels.video_labels()
    }


def test_shipped_clip_pools_at_the_end_token_and_takes_unknown_words() -> None:
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(SHIPPED / "clip", dtype=torch.float32)
    processor = CLIPProcessor.from_pretrained(SHIPPED / "clip", backend="pil")
    tokenizer = processor.tokenizer
    assert tokenizer.eos_token_id == len(tokenizer) - 1 == model.config.text_config.eos_token_id
    caption = sample_scene(np.random.default_rng(0)).caption
    assert len(tokenizer(caption).input_ids) == 10, "each word is one token"
    unknown = clip.tokenize(tokenizer, ["a dög sits; 12 cats run over an unbelievably long wall"])
    assert unknown.shape == (1, clip.CONTEXT)
    with torch.no_grad():
        texts = [f"a {name}" for name in CLASSES]
        text = model.get_text_features(input_ids=clip.tokenize(tokenizer, texts)).pooler_output
    distances = torch.cdist(text, text) + torch.eye(len(CLASSES)) * 9
    assert distances.min() > 1e-3


def test_shipped_diffusion_folder_is_a_stable_diffusion_pipeline() -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(SHIPPED / "diffusion", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    pictures = pipeline(
        "a large red ball moving left over grass",
        num_inference_steps=3,
        generator=generator,
        output_type="np",
    ).images
    assert pictures.shape == (1, 64, 64, 3)
    frames = corpus_frames(8)
    coded = vae.decode(pipeline.vae, vae.encode(pipeline.vae, frames))
    assert vae.psnr(frames, coded).mean() > 24


def corpus_frames(n: int) -> np.ndarray:
    """n frames of scenes, uint8 (n, 64, 64, 3)."""
    from boldreel.insilico.world import render_shot

    rng = np.random.default_rng(3)
    return np.concatenate([render_shot(sample_scene(rng), 1, 3, rng) for _ in range(n)])


def test_corpus_shows_no_held_out_pair_and_is_kept(tmp_path: Path) -> None:
    made = corpus.build(tmp_path / "c", 50, 2, seed=4, held_out=False, name="test")
    assert not {(made.scene(i).object, made.scene(i).colour) for i in range(50)} & HELD_OUT
    again = corpus.build(tmp_path / "c", 50, 2, seed=4, held_out=False, name="test")
    assert np.array_equal(made.frames, again.frames)


def test_blobs_have_every_colour_but_no_class(tmp_path: Path) -> None:
    made = corpus.build(tmp_path / "c", 60, 1, seed=4, held_out=False, name="test", blobs=True)
    assert (made.labels[:, 0] == -1).all()
    assert set(made.labels[:, 1]) == set(range(6))
    covered = (made.masks[:, 0] > 127).mean(axis=(1, 2))
    assert covered.min() > 0.005 and covered.max() < 0.25
    whole = corpus.build(tmp_path / "d", 60, 1, seed=4, held_out=False, name="test")
    assert not np.array_equal(made.masks, whole.masks)


def test_joint_layer_is_the_sum_of_the_factors() -> None:
    torch.manual_seed(0)
    heads = judge.FactorHeads(7, judge.KEYS)
    features = torch.randn(5, 7)
    logits = heads.joint()(features).reshape(5, *(head.out_features for head in heads.heads))
    one, two, three = (head(features) for head in heads.heads)
    expected = one[:, :, None, None] + two[:, None, :, None] + three[:, None, None, :]
    assert torch.allclose(logits, expected, atol=1e-5)
    assert labels.image_labels()[0].split()[1] == CLASSES[0]


def test_captions_that_leave_attributes_out_fit_several_images() -> None:
    rows = np.array([[0, 0, 0, 0, 0], [0, 1, 0, 1, 0]])
    named = np.array([[True, False, False, True, False], [True] * 5])
    assert clip.fits(rows, named).tolist() == [[True, False], [True, True]]
    assert clip.phrase(rows[0], named[0]) == "a ball moving left"
    assert clip.phrase(rows[0], np.zeros(5, dtype=bool)) == "a thing"


def test_interrupted_training_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def train(state: Path, stop_at: int | None) -> torch.Tensor:
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 1)
        calls = 0

        def loss(rng: np.random.Generator) -> torch.Tensor:
            nonlocal calls
            calls += 1
            if calls == stop_at:
                raise Interrupted
            x = torch.from_numpy(rng.standard_normal((8, 3))).float()
            return ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()

        schedule = fit.Schedule(20, lr=1e-2, warmup=2)
        fit.fit(model, loss, schedule, state, "test", every=5)
        return model.weight.detach().clone()

    whole = train(tmp_path / "a", None)
    with pytest.raises(Interrupted):
        train(tmp_path / "b", 13)
    assert torch.equal(train(tmp_path / "b", None), whole)


def test_command_makes_every_folder_and_measures_the_gates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--out", str(out), "--work", str(tmp_path / "work"), "--scale", "0.0005"]
    out.mkdir()
    (out / "README.md").write_text("# Models\n\n## Measured gates\n\nof another time\n")
    command.main(arguments)
    names = {str(p.relative_to(SHIPPED)) for f in MODEL_FOLDERS for p in (SHIPPED / f).rglob("*")}
    assert {str(path.relative_to(out)) for path in out.rglob("*")} >= names
    rows = json.loads((out / "gates.json").read_text())
    assert [row["name"] for row in rows] == [
        row["name"] for row in json.loads((SHIPPED / "gates.json").read_text())
    ]
    page = (out / "README.md").read_text()
    assert page.startswith("# Models\n") and "another time" not in page
    assert all(f"| {row['name']} | {row['value']:.3f} |" in page for row in rows)
    assert " left" in capsys.readouterr().err
    before = (out / "clip" / "model.safetensors").stat().st_mtime_ns
    command.main([*arguments, "--only", "image_classifier"])
    assert (out / "clip" / "model.safetensors").stat().st_mtime_ns == before
    assert gates.load(out)["judge"].config.num_labels == len(labels.image_labels())

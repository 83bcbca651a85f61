"""The configuration: unknown keys, defaults, lists of subjects."""

from pathlib import Path

import pytest
import yaml
from tests.fixtures_settings import ASKED, settings

from boldreel import configuration, presets
from boldreel.errors import UserError
from boldreel.settings import leaves

ROOT = Path(__file__).parents[2]
OWN = {
    "dataset": "mine",
    "bids": "data/mine",
    "segments": {"train": ["film*"], "validation": ["film03"], "test": ["probe*"]},
}


def values(config: dict) -> dict:
    """{dotted key: value} of a configuration."""
    nothing = object()
    found = {
        key: configuration.value_of(config, key, nothing)
        for key, _ in leaves(configuration.schema())
    }
    return {key: value for key, value in found.items() if value is not nothing}


def test_what_is_not_named_comes_from_the_preset_then_from_the_defaults():
    given = {**OWN, "align": {"epochs": 7}}
    config = configuration.complete(given)
    assert config["segments"]["test"] == ["probe*"] and config["preset"] == "base"
    assert config["align"]["epochs"] == 7
    assert config["align"]["batch_size"] == presets.load("base")["align"]["batch_size"]
    assert config["align"]["learning_rate"] == 1e-4
    assert given == {**OWN, "align": {"epochs": 7}}, "what was given is not changed"
    origins = configuration.origins(given)
    assert origins["align.epochs"] == "yours"
    assert origins["align.batch_size"] == "preset base"
    assert origins["align.learning_rate"] == "default"


def test_what_nobody_names_follows_what_was_named():
    given = {**OWN, "bold": {"engine": "embedded"}}
    config, origins = configuration.complete(given), configuration.origins(given)
    assert config["roi"]["atlas"] == "visual-centres"
    assert origins["roi.atlas"] == "follows bold.engine"
    assert config["pretrain"]["cohort"] == "mine"
    assert origins["pretrain.cohort"] == "follows dataset"
    given["roi"] = {"atlas": "own.tsv"}
    assert configuration.complete(given)["roi"]["atlas"] == "own.tsv"
    assert configuration.origins(given)["roi.atlas"] == "yours"
    assert configuration.complete(OWN)["roi"]["atlas"] == "hcp-mmp"


def test_the_demo_needs_no_more_than_its_file():
    demo = configuration.complete(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))
    for key, _ in leaves(configuration.schema()):
        wanted = configuration.value_of(presets.load("demo"), key)
        if wanted is not None:
            assert configuration.value_of(demo, key) == wanted, key


MINIMAL = {
    "embedded": {**OWN, "bold": {"engine": "embedded"}},
    "fmriprep": OWN,
    "derivatives": {**OWN, "bold": {"engine": "derivatives", "derivatives": "prep"}},
    "mindvideo": {**OWN, "preset": "mindvideo"},
    **{
        name: yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
        for name in ("bids", "datasets/cc2017")
    },
}


@pytest.mark.parametrize("name", MINIMAL)
def test_own_data_meet_nothing_of_the_demo(name):
    """No value that only the demo has, unless the user named it."""
    given = MINIMAL[name]
    chosen = values(configuration.complete(given))
    base = values(configuration.complete({**OWN, "preset": given.get("preset")}))
    assert "insilico.volumes" not in chosen
    assert not [key for key, value in chosen.items() if "insilico" in str(value)]
    named = values(given) | {"roi.atlas": "follows the engine"}
    # Equal to the demo's by chance only where a preset for own data says so itself.
    for key, value in values(presets.load("demo")).items():
        if key not in named and chosen[key] == value:
            assert base[key] == value and key in values(presets.load(given.get("preset") or "base"))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**OWN, "preset": "demo"}, ["preset demo", "simulated data set", "use base"]),
        (
            {**OWN, "models": {"clip": "resources/insilico/clip"}},
            ["models.clip", "remove this key"],
        ),
        ({**OWN, "models": {"clip": "/x/resources/insilico/clip"}}, ["models.clip"]),
        ({**OWN, "insilico": {"volumes": 60}}, ["insilico", "remove one"]),
        ({**OWN, "preset": "tiny"}, ["'tiny'", "demo, base, mindvideo"]),
        ({"dataset": "x", "bids": "y"}, ["segments.train", "segments.test"]),
        ({**OWN, "generator": {"noise_correlation": 0.5}}, ["noise_correlation", "image_above"]),
    ],
)
def test_what_does_not_go_together_is_one_line(config, words):
    with pytest.raises(UserError) as caught:
        configuration.complete(config)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "spelling",
    ["resources/./insilico/clip", "other/../resources//insilico/clip", "linked/clip", "linked"],
)
def test_models_of_the_demo_are_known_however_they_are_spelled(spelling, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources" / "insilico" / "clip").mkdir(parents=True)
    (tmp_path / "linked").symlink_to("resources/insilico")
    with pytest.raises(UserError, match=r"models\.clip"):
        configuration.complete({**OWN, "models": {"clip": spelling}})


def test_models_elsewhere_may_have_a_name_like_the_demos():
    config = configuration.complete({**OWN, "models": {"clip": "/x/resources/insilico_2/clip"}})
    assert config["models"]["clip"] == "/x/resources/insilico_2/clip"


def test_origins_read_texts_of_the_command_line_as_values():
    """Inside braces of --config null arrives as a text."""
    given = {**OWN, "pretrain": {"cohort": "null"}}
    assert configuration.complete(given)["pretrain"]["cohort"] == "mine"
    assert configuration.origins(given)["pretrain.cohort"] == "follows dataset"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"datset": "x"}, ["datset", "did you mean 'dataset'"]),
        ({"segments": {"tset": []}}, ["segments.tset", "test"]),
        ({"seed": "one"}, ["seed", "integer"]),
        ({"dataset": "../x"}, ["dataset"]),
        ({}, ["dataset", "segments.train"]),
        ({**OWN, "pretrain": {"subjects": ["01"]}}, ["pretrain.subjects"]),
        (
            {**OWN, "generator": {"batch": 4}},
            ["generator.batch", "did you mean 'generator.batch_size'"],
        ),
        ({**OWN, "models": ["clip"]}, ["models", "object"]),
        ({**OWN, "roi": []}, ["roi", "object"]),
        ({**OWN, "align": False}, ["align", "object"]),
        ({**OWN, "align": {True: 1}}, ["align.True", "bool"]),  # `on: 1` in YAML
        ({**OWN, 7: 1}, ["7", "int"]),
        ({**OWN, "bids": " "}, ["bids is empty"]),
        ({**OWN, "align": {"learning_rate": float("inf")}}, ["align.learning_rate", "inf"]),
    ],
)
def test_mistakes_are_one_clear_line(config, words):
    with pytest.raises(UserError) as caught:
        configuration.complete(config)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "changed",
    [
        {"bids": "-rf", "insilico": {}},
        {"results": "results/{subject}"},
        {"state": "st\ate"},
        {"results": ""},  # or they would go to the root of the file system
        {"models": {"clip": ""}},
        {"results": "made", "state": "./made/"},
        {"models": {"clip": "-x"}},
    ],
)
def test_paths_that_would_be_read_as_something_else(changed, tmp_path):
    config = configuration.complete({**ASKED, **changed})
    with pytest.raises(UserError, match="configuration: ") as caught:
        configuration.check_paths(config, tmp_path)
    assert "\n" not in str(caught.value)


def test_paths_may_have_blanks_quotes_and_letters_of_any_alphabet(tmp_path):
    config = configuration.complete({**OWN, "bids": '/data/it\'s $(x); "日本" -y'})
    configuration.check_paths(config, tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"cotrain": {"epochs": 2, "warmup_epochs": 2}},
            r"cotrain\.warmup_epochs is 2 of 2 epochs",
        ),
        (
            {"pretrain": {"epochs": 2, "warmup_epochs": 2}},
            r"pretrain\.warmup_epochs is 2 of 2 epochs",
        ),
    ],
)
def test_a_training_that_ends_in_its_warmup_is_refused(changed, message):
    with pytest.raises(UserError, match=message):
        configuration.complete(ASKED | changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"generator": {"processes": 3}}, r"generator\.batch_size is 8; it must be a multiple"),
        ({"align": {"batch_size": 31, "processes": 2}}, r"align\.batch_size is 31"),
    ],
)
def test_a_batch_that_processes_cannot_part_is_refused(changed, message):
    with pytest.raises(UserError, match=message):
        configuration.complete(ASKED | changed)


@pytest.mark.parametrize("epochs", [0, 1, 4])
def test_the_warmup_of_the_generator_follows_its_length(epochs):
    changed = {
        section: {"epochs": epochs, "steps_per_epoch": 10} for section in ("generator", "cotrain")
    }
    configuration.complete(ASKED | changed)
    assert settings("cotrain", epochs=epochs, steps_per_epoch=10).warmup_steps == epochs


def test_methods_are_known_and_so_are_their_options():
    root = ROOT
    chosen = {"methods": ["mindvideo", "linear"], "method_options": {"linear": {"early": 5}}}
    configuration.check_methods(chosen, root)
    for wrong, said in (
        ({**chosen, "methods": ["mindvideo", "cinema"]}, "method_options.linear is given"),
        ({"methods": ["mindvideo", "cinema"], "method_options": {}}, "no method 'cinema'"),
        ({"methods": ["mindvideo", "align"], "method_options": {}}, "no method 'align'"),
        ({**chosen, "method_options": {"linear": {"erly": 5}}}, "erly is not a key"),
        ({**chosen, "method_options": {"linear": {"readout": "x"}}}, "readout is 'x'"),
    ):
        with pytest.raises(UserError, match=said):
            configuration.check_methods(wrong, root)
    with pytest.raises(UserError, match="methods"):
        configuration.complete({**ASKED, "methods": ["linear"]})


BETAS = {
    "bold": {"engine": "derivatives", "derivatives": "x", "betas": "per-run"},
    "roi": {"confounds": "none", "detrend_order": -1},
    "windows": {"lag": 0, "window": 1, "lags": [0], "windows": [1]},
}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"bold": {"space": "MNI152NLin6Asym"}}, r"bold\.space MNI152NLin6Asym is not among"),
        (
            {"bold": {"space": "MNI152NLin2009cAsym:res-1"}},
            r"is not among .*:res-2\); add it there",
        ),
        (
            {"bold": {"space": "fsLR", "fmriprep": {"cifti": "170k"}}},
            r"cifti is 170k; set cifti: 91k",
        ),
        ({"bold": {"space": "fsLR:den-170k", "fmriprep": {"cifti": "170k"}}}, r"set cifti: 91k"),
        (
            {"bold": {"space": "fsLR", "fmriprep": {"cifti": None}}},
            r"cifti is None; set cifti: 91k",
        ),
        (
            {
                "bold": {
                    "space": "MNI152NLin6Asym",
                    "fmriprep": {"output_spaces": ["MNI152NLin6Asym"]},
                }
            },
            r"roi\.atlas hcp-mmp is there for MNI152NLin2009cAsym and for fsLR",
        ),
        (
            {"roi": {"atlas": "visual-centres"}},
            r"visual-centres is in MNI152NLin2009aSym, the data",
        ),
        ({"bold": {"space": "fsLR"}, "roi": {"atlas": "x.nii.gz"}}, r"not for data in fsLR"),
        ({"roi": {"atlas": "x.dlabel.nii"}}, r"give a volume of labels"),
        (
            {"roi": {"atlas": "tpl-MNI152NLin6Asym_dseg.nii.gz"}},
            r"in space MNI152NLin6Asym, the data",
        ),
        ({"bold": {"engine": "embedded"}, "roi": {"atlas": "hcp-mmp"}}, r"hcp-mmp is there for"),
        ({"bold": {"desc": "denoised"}}, r"set bold\.engine: derivatives"),
        (
            {"bold": {"desc": "denoised", "engine": "derivatives", "derivatives": "x"}},
            r"XCP-D removed the confounds; set roi\.confounds: none",
        ),
        ({"bold": {"betas": "per-run"}}, r"set bold\.engine: derivatives"),
        (BETAS | {"pretrain": {"derivatives": "hcp"}}, r"leave out pretrain\.derivatives"),
        (BETAS | {"roi": {"confounds": "none"}}, r"roi\.detrend_order is 4; .*detrend_order: -1"),
        (
            BETAS | {"windows": {"lag": 0, "window": 1}},
            r"windows\.lags is .*set windows: {lag: 0, window: 1, lags: \[0\], windows: \[1\]}",
        ),
        (
            BETAS | {"windows": {**BETAS["windows"], "hrf": {"mode": "kernel"}}},
            r"took the haemodynamic response out",
        ),
    ],
)
def test_what_contradicts_is_told_before_anything_starts(sections, message):
    with pytest.raises(UserError, match=message) as error:
        configuration.check_engine(configuration.complete({**OWN, **sections}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"bold": {"space": "MNI152NLin2009cAsym:res-02"}},
        {"bold": {"space": "fsLR:den-91k"}},
        {"bold": {"space": "fsLR"}, "roi": {"atlas": "x.dlabel.nii"}},
        {"bold": {"space": "X", "fmriprep": {"options": ["--output-spaces", "X"]}}}
        | {"roi": {"atlas": "whole-cortex"}},
        {"bold": {"engine": "embedded"}},
        {"bold": {"engine": "embedded"}, "roi": {"atlas": "own.tsv"}},
        {"roi": {"atlas": "tpl-MNI152NLin2009cAsym_dseg.nii.gz"}},
        {"bold": {"desc": "denoised", "engine": "derivatives", "derivatives": "x"}}
        | {"roi": {"confounds": "none"}},
        BETAS,
    ],
)
def test_what_fits_is_taken(sections):
    configuration.check_engine(configuration.complete({**OWN, **sections}))

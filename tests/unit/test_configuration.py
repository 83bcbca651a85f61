"""The configuration: unknown keys, defaults, lists of subjects."""

import datetime
import tracemalloc
from pathlib import Path

import pytest
import yaml
from tests.fixtures_settings import ASKED, settings

from boldreel import configuration, forgotten, presets
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


def test_the_demo_needs_no_more_than_its_file():
    demo = configuration.complete(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))
    for key, _ in leaves(configuration.schema()):
        wanted = configuration.value_of(presets.load("demo"), key)
        if wanted is not None:
            assert configuration.value_of(demo, key) == wanted, key


MINIMAL = {
    "embedded": {**OWN, "bold": {"engine": "embedded"}, "roi": {"atlas": "visual-centres"}},
    "fmriprep": OWN,
    "derivatives": {**OWN, "bold": {"engine": "derivatives", "derivatives": "prep"}},
    "mindvideo": {**OWN, "preset": "mindvideo"},
    **{
        name: yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
        for name in ("bids", "cc2017")
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
    named = values(given)
    # Equal to the demo's by chance only where a preset for own data says so itself.
    for key, value in values(presets.load("demo")).items():
        if key not in named and chosen[key] == value:
            assert base[key] == value and key in values(presets.load(given.get("preset") or "base"))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**OWN, "preset": "demo"}, ["preset demo", "embedded data set", "name base"]),
        (
            {**OWN, "models": {"clip": "resources/insilico/clip"}},
            ["models.clip", "remove the line"],
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
    ("config", "words"),
    [
        ({"datset": "x"}, ["datset", "did you mean 'dataset'"]),
        ({"segments": {"tset": []}}, ["segments.tset", "test"]),
        ({"seed": "one"}, ["seed", "integer"]),
        ({"dataset": "../x"}, ["dataset"]),
        ({}, ["dataset", "segments.train"]),
        ({**OWN, "pretrain": {"subjects": ["01"]}}, ["pretrain.subjects"]),
        ({**OWN, "generator": {"batch": 4}}, ["generator.batch", "did you mean 'batch_size'"]),
    ],
)
def test_mistakes_are_one_clear_line(config, words):
    with pytest.raises(UserError) as caught:
        configuration.complete(config)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_subjects(tmp_path):
    table = tmp_path / "subjects.tsv"
    table.write_text("subject\texclude\n01\tfalse\nsub-02\t\n03\ttrue\n")
    assert configuration.subjects(table) == ["01", "02"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name\n01\n", "column 'subject'"),
        ("subject\n01\n01\n", "twice"),
        ("subject\n$(rm x)\n", "letters and digits"),
        ("subject\n../../etc\n", "letters and digits"),
        ("subject\n01; touch x\n", "letters and digits"),
        ("subject\n-rf\n", "letters and digits"),
        ("subject\n'01'\n", "letters and digits"),
        ("subject\nJosé\n", "letters and digits"),
        ("subject\n\u0661\n", "letters and digits"),  # a digit, of another alphabet
        ("subject\texclude\n01\ttrue\n", "no subject is left"),
    ],
)
def test_bad_lists_of_subjects(tmp_path, text, word):
    table = tmp_path / "subjects.tsv"
    table.write_text(text)
    with pytest.raises(UserError, match=word.replace("$", r"\$")):
        configuration.subjects(table)


def test_a_table_with_a_million_rows_is_none_of_subjects(tmp_path):
    """It is put down after the first ten thousand."""
    table = tmp_path / "subjects.tsv"
    with table.open("w") as lines:
        lines.write("subject\n")
        lines.writelines(f"{number:07d}\n" for number in range(1_000_000))
    tracemalloc.start()
    with pytest.raises(UserError, match="more than 10,000 subjects"):
        configuration.subjects(table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6


def test_a_list_of_subjects_that_is_no_text(tmp_path):
    table = tmp_path / "subjects.tsv"
    table.write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="not a readable table"):
        configuration.subjects(table)
    table.write_text("\ufeffsubject\n01\n", encoding="utf-8")  # as spreadsheets save it
    assert configuration.subjects(table) == ["01"]


@pytest.mark.parametrize("name", ["-rf", "{subject}", "two\nlines", ".hidden"])
def test_movies_whose_names_could_not_be_folders(tmp_path, name):
    events = tmp_path / "events.tsv"
    text = f'"{name}.mp4"' if "\n" in name else f"{name}.mp4"
    events.write_text(f"onset\tduration\tstim_file\n0\t2\t{text}\n")
    with pytest.raises(UserError) as caught:
        configuration.movies_shown([events])
    assert "\n" not in str(caught.value)


def test_movies_may_have_any_other_name(tmp_path):
    name = 'it\'s; $(touch owned) "é" & `x`'
    events = tmp_path / "events.tsv"
    events.write_text(f"onset\tduration\tstim_file\n0\t2\t../stimuli/{name}.mp4\n")
    assert configuration.movies_shown([events]) == {name: f"../stimuli/{name}.mp4"}


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("m1.mp4", "m1.mp4"),
        ("m1.MP4", "m1.MP4"),
        ("m1.m4v", "m1.m4v"),
        ("part/m1.mp4", "part/m1.mp4"),
        ("../stimuli/m1.mp4", "m1.mp4"),
        ("m1.avi", "m1.mp4"),
        ("m1", "m1.mkv"),
    ],
)
def test_where_a_movie_lies(tmp_path, named, there):
    path = tmp_path / "stimuli" / there
    path.parent.mkdir(parents=True)
    (tmp_path / "stimuli" / "m1").mkdir()
    path.touch()
    assert configuration.movie_file(tmp_path, named) == str(path)
    with pytest.raises(
        UserError, match=r"movie other\.mp4 is named by the events but is not there"
    ):
        configuration.movie_file(tmp_path, "other.mp4")


@pytest.mark.parametrize(
    "changed",
    [
        {"bids": "-rf", "insilico": {}},
        {"results": "results/{subject}"},
        {"state": "st\ate"},
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


@pytest.mark.parametrize(
    ("align", "window", "subjects", "message"),
    [
        ({"subjects": "pooled"}, None, ["01", "02"], r"set windows\.window"),
        ({"subjects": "pooled", "pool": ["01", "09"]}, 2, ["01", "02"], "names 09"),
        ({"subjects": "pooled"}, 2, ["01"], "there is one subject"),
        ({"subjects": "pooled"}, 2, ["01", "02"], None),
        ({"subjects": "each"}, None, ["01"], None),
    ],
)
def test_a_pool_needs_one_window_and_its_subjects(align, window, subjects, message):
    whole = configuration.complete(ASKED | {"align": align, "windows": {"window": window}})
    if message is None:
        configuration.check_pool(whole, subjects)
    else:
        with pytest.raises(UserError, match=message):
            configuration.check_pool(whole, subjects)


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


def test_who_was_forgotten_is_left_out_and_told(tmp_path, capsys):
    """Of the table, of the cohort as a list and as a table; whoever is left has to be enough."""
    table = tmp_path / "subjects.tsv"
    table.write_text("subject\n01\nsub-02\n03\n")
    forgotten.add(tmp_path, "02")
    gone = forgotten.read(tmp_path)
    today = datetime.date.today().isoformat()
    assert gone == {"02": today}
    assert configuration.subjects(table, gone) == ["01", "03"]
    assert capsys.readouterr().err.startswith(f"sub-02 is left out: forgotten on {today}")

    def cohort(named, gone):
        return configuration.cohort_of({"pretrain": {"subjects": named}}, str, ["01", "03"], gone)

    assert cohort(["sub-02", "01", "04"], gone) == ["01", "04"]
    assert cohort(str(table), gone) == cohort(None, gone) == ["01", "03"]
    forgotten.add(tmp_path, "01")
    gone = forgotten.read(tmp_path)
    assert sorted(gone) == ["01", "02"]
    for named in (["01", "02", "04"], str(table)):
        with pytest.raises(UserError, match="1 subject, at least 2 needed"):
            cohort(named, gone)
    forgotten.add(tmp_path, "03")
    with pytest.raises(UserError, match="no subject is left"):
        configuration.subjects(table, forgotten.read(tmp_path))
    assert forgotten.read(tmp_path / "other") == {}


@pytest.mark.parametrize("line", ["02 2020-01-01", "<html>", "\t2020-01-01"])
def test_a_list_of_forgotten_subjects_that_cannot_be_read_stops_the_run(tmp_path, line):
    (tmp_path / "forgotten.tsv").write_text(f"subject\tdate\n{line}\n")
    with pytest.raises(UserError, match="line 2 is not a label and a date"):
        forgotten.read(tmp_path)


def test_who_is_held_out_is_in_the_cohort():
    config = configuration.complete(
        {**ASKED, "pretrain": {"subjects": ["01", "02"], "holdout": ["02"]}}
    )
    configuration.check_holdout(config, ["01", "02"])
    with pytest.raises(UserError, match=r"pretrain.holdout names 02, .*\(01, 03\)"):
        configuration.check_holdout(config, ["01", "03"])


def test_subjects_of_own_data_are_all_of_the_tree(tmp_path):
    """Where no table is named; whoever watches is the cohort where none is named."""
    config = {"subjects": None, "bids": str(tmp_path), "pretrain": {"subjects": None}}
    with pytest.raises(UserError, match="no folder sub-XX"):
        configuration.subjects_of(config, str, {})
    for name in ("sub-02", "sub-01", "stimuli"):
        (tmp_path / name).mkdir()
    (tmp_path / "sub-03").write_text("no folder")
    assert configuration.subjects_of(config, str, {}) == ["01", "02"]
    assert configuration.cohort_of(config, str, ["01", "02"], {}) == ["01", "02"]
    assert configuration.subjects_of(config, str, {"01": "2020-01-01"}) == ["02"]
    with pytest.raises(UserError, match=r"pretrain\.subjects is not given.*1 subject, at least 2"):
        configuration.cohort_of(config, str, ["02"], {})

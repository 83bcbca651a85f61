"""The configuration: unknown keys, defaults, lists of subjects."""

import datetime
import tracemalloc
from pathlib import Path

import pytest

from boldreel import configuration, forgotten
from boldreel.errors import UserError
from boldreel.generator.settings import CotrainSettings

COHORT = {"pretrain": {"subjects": ["01", "02"]}}  # the only key without a usable default


def test_defaults_are_filled_and_values_kept():
    given = {"dataset": "mine", "segments": {"test": ["probe*"]}}
    config = configuration.complete({**given, **COHORT})
    assert config["dataset"] == "mine"
    assert config["segments"]["test"] == ["probe*"]
    assert config["segments"]["train"] == ["train*"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"datset": "x"}, ["datset", "did you mean 'dataset'"]),
        ({"segments": {"tset": []}}, ["segments.tset", "test"]),
        ({"seed": "one"}, ["seed", "integer"]),
        ({"dataset": "../x"}, ["dataset"]),
        ({}, ["pretrain.subjects", "0 given, at least 2 needed"]),
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
    "changed",
    [
        {"bids": "-rf"},
        {"results": "results/{subject}"},
        {"state": "st\ate"},
        {"models": {"clip": "-x"}},
    ],
)
def test_paths_that_would_be_read_as_something_else(changed, tmp_path):
    config = configuration.complete({"dataset": "x", **COHORT, **changed})
    with pytest.raises(UserError, match="configuration: ") as caught:
        configuration.check_paths(config, tmp_path)
    assert "\n" not in str(caught.value)


def test_paths_may_have_blanks_quotes_and_letters_of_any_alphabet(tmp_path):
    config = configuration.complete(
        {"dataset": "x", **COHORT, "bids": '/data/it\'s $(x); "日本" -y'}
    )
    configuration.check_paths(config, tmp_path)


def _defaults(section: str) -> dict:
    """Defaults that the library's own code holds for a section, for steps run by hand."""
    import dataclasses

    from boldreel.align import retrieve
    from boldreel.align import settings as align
    from boldreel.bold.settings import Settings as Bold
    from boldreel.evaluate import score
    from boldreel.generator.settings import CotrainSettings, GeneratorSettings
    from boldreel.pretrain import corpus
    from boldreel.pretrain import train as pretrain
    from boldreel.reconstruct.settings import ReconstructSettings
    from boldreel.report import figures
    from boldreel.roi.settings import Settings as Roi
    from boldreel.windows import audit, sweep

    sources = {
        "bold": [Bold()],
        "roi": [Roi()],
        "windows": [sweep.DEFAULTS, audit.DEFAULTS],
        "pretrain": [corpus.DEFAULTS, pretrain.DEFAULTS],
        "align": [retrieve.DEFAULTS, align.DEFAULTS],
        "generator": [GeneratorSettings()],
        "cotrain": [CotrainSettings()],
        "reconstruct": [ReconstructSettings()],
        "evaluate": [score.DEFAULTS],
        "report": [figures.DEFAULTS],
    }[section]
    merged: dict = {}
    for source in sources:
        merged |= dataclasses.asdict(source) if dataclasses.is_dataclass(source) else source
    given = {"seed", "preset", "dataset", "method", "combination", "segments"}  # from elsewhere
    return {key: value for key, value in merged.items() if key not in given}


@pytest.mark.parametrize(
    "section",
    [
        "bold",
        "roi",
        "windows",
        "pretrain",
        "align",
        "generator",
        "cotrain",
        "reconstruct",
        "evaluate",
        "report",
    ],
)
def test_schema_and_code_agree_on_defaults(section):
    def plain(value):
        """Lists for tuples; numbers rounded, since YAML writes them in decimals."""
        if isinstance(value, float):
            return float(f"{value:.9g}")
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value

    schema = configuration.complete(COHORT)[section]
    for key, value in _defaults(section).items():
        assert key in schema, f"{section}.{key} is missing in the schema"
        assert plain(schema[key]) == plain(value), f"{section}.{key}"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cotrain": {"epochs": 2, "steps_per_epoch": 10, "warmup": 20}}, r"cotrain\.warmup is 20"),
        (
            {"pretrain": COHORT["pretrain"] | {"epochs": 2, "warmup_epochs": 2}},
            r"pretrain\.warmup_epochs is 2 of 2 epochs",
        ),
    ],
)
def test_a_training_that_ends_in_its_warmup_is_refused(changed, message):
    whole = configuration.complete(COHORT | changed)
    with pytest.raises(UserError, match=message):
        configuration.check_warmup(whole)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"generator": {"processes": 3}}, r"generator\.batch is 8; it must be a multiple"),
        ({"align": {"batch_size": 31, "processes": 2}}, r"align\.batch_size is 31"),
    ],
)
def test_a_batch_that_processes_cannot_part_is_refused(changed, message):
    whole = configuration.complete(COHORT | changed)
    with pytest.raises(UserError, match=message):
        configuration.check_processes(whole)


@pytest.mark.parametrize("epochs", [0, 1, 4])
def test_the_warmup_of_the_generator_follows_its_length(epochs):
    changed = {
        section: {"epochs": epochs, "steps_per_epoch": 10} for section in ("generator", "cotrain")
    }
    configuration.check_warmup(configuration.complete(COHORT | changed))
    assert CotrainSettings(epochs=epochs, steps_per_epoch=10).warmup_steps == epochs


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
    whole = configuration.complete(COHORT | {"align": align, "windows": {"window": window}})
    if message is None:
        configuration.check_pool(whole, subjects)
    else:
        with pytest.raises(UserError, match=message):
            configuration.check_pool(whole, subjects)


def test_methods_are_known_and_so_are_their_options():
    root = Path(__file__).parents[2]
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
        configuration.complete({"methods": ["linear"]})


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
    assert configuration.cohort(["sub-02", "01", "04"], str, gone) == ["01", "04"]
    assert configuration.cohort(str(table), str, gone) == ["01", "03"]
    forgotten.add(tmp_path, "01")
    gone = forgotten.read(tmp_path)
    assert sorted(gone) == ["01", "02"]
    for named in (["01", "02", "04"], str(table)):
        with pytest.raises(UserError, match="1 subject, at least 2 needed"):
            configuration.cohort(named, str, gone)
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
    config = configuration.complete({"pretrain": {"subjects": ["01", "02"], "holdout": ["02"]}})
    configuration.check_holdout(config, ["01", "02"])
    with pytest.raises(UserError, match=r"pretrain.holdout names 02, .*\(01, 03\)"):
        configuration.check_holdout(config, ["01", "03"])

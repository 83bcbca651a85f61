"""The command `boldreel`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from boldreel import command_line, configuration

ROOT = Path(__file__).parents[2]
MINE = """
dataset: mine
bids: data/mine
segments: {train: ["film*"], validation: [film03], test: ["probe*"]}
"""


@pytest.fixture
def mine(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    return path


def said(capsys, *words) -> str:
    command_line.main([*map(str, words)])
    return capsys.readouterr().out


def failed(capsys, *words) -> str:
    with pytest.raises(SystemExit) as caught:
        command_line.main([*map(str, words)])
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_one_key_is_explained(mine, capsys):
    words = ("config", "--configfile", mine, "--config", "align={epochs: 7}", "--explain")
    text = said(capsys, *words, "align.epochs")
    assert text.splitlines() == [
        "align.epochs: 7",
        "comes from: yours",
        "in the presets: demo 2, base 20, mindvideo 30",
        "meaning: Passes over the training clips.",
    ]
    assert "align.batch_size: 32  # preset base" in said(capsys, *words, "align").splitlines()
    assert "did you mean 'align.epochs'?" in failed(capsys, *words, "align.epocs")


def test_all_values_are_a_configuration_again(mine, capsys):
    more = mine.with_name("more.yaml")
    more.write_text("align: {epochs: 9, refit: false}\n")
    text = said(capsys, "config", "--configfile", mine, more)
    found = yaml.safe_load(text)
    assert found["align"]["epochs"] == 9 and found["segments"]["validation"] == ["film03"]
    assert configuration.complete(found) == found


def test_check_says_what_a_run_begins_with(mine, capsys, monkeypatch):
    """The demo passes; own data end at what stands in their way, in one line."""
    assert "mine: no folder sub-XX" in failed(capsys, "check", "--configfile", mine)
    monkeypatch.chdir(ROOT)
    assert said(capsys, "check", "--config", "seed=3").rstrip().endswith("run --config seed=3")
    text = said(capsys, "check")
    assert "subjects: 3 (01, 02, 03); runs: 30 train, 6 validation, 60 test" in text
    assert text.rstrip().endswith("ready: boldreel run")


def test_the_schema_is_one(mine, capsys):
    import jsonschema

    rules = json.loads(said(capsys, "config", "--schema"))
    jsonschema.Draft202012Validator.check_schema(rules)
    assert not jsonschema.Draft202012Validator(rules).is_valid({"align": {"epochs": -1}})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not valid YAML"),
        ("- a", "not a configuration"),
        (MINE + "sed: 1", "did you mean 'seed'"),
    ],
)
def test_a_file_that_is_no_configuration(mine, capsys, text, words):
    mine.write_text(text)
    assert words in failed(capsys, "config", "--configfile", mine)


def test_without_a_data_set_it_is_the_demo(mine, capsys):
    (mine.parent / "config").mkdir()
    (mine.parent / "config" / "config.yaml").write_text((ROOT / "config/config.yaml").read_text())
    mine.write_text("align: {epochs: 9}\n")
    found = yaml.safe_load(said(capsys, "config", "--configfile", mine))
    assert found["dataset"] == found["preset"] == "demo" and found["align"]["epochs"] == 9


def test_a_file_that_is_missing(mine, capsys):
    assert "none.yaml: configuration not found" in failed(
        capsys, "config", "--configfile", "none.yaml"
    )


def test_without_a_configuration_here_it_is_the_one_that_a_run_would_take(mine, capsys):
    """So a data set that was misspelt is told."""
    assert yaml.safe_load(said(capsys, "config"))["dataset"] == "demo"
    mine.write_text(MINE.replace("bids:", "Bids:"))
    assert "did you mean 'bids'?" in failed(capsys, "config", "--configfile", mine)


def test_settings_that_are_no_yaml(mine, capsys):
    told = failed(capsys, "config", "--configfile", mine, "--config", "align={epochs: [}")
    assert "--config align={epochs: [}: no YAML" in told and told.count("\n") == 1


def test_run_hands_everything_to_snakemake(monkeypatch):
    called = []
    monkeypatch.setattr("os.execv", lambda path, words: called.append(words))
    monkeypatch.chdir(ROOT)
    command_line.main(
        ["run", "--configfile", "mine.yaml", "--config", "seed=2", "--", "-n", "figures"]
    )
    (words,) = called
    assert words[:3] == [sys.executable, "-m", "snakemake"] and words[-2:] == ["-n", "figures"]
    assert words[words.index("--snakefile") + 1] == "workflow/Snakefile"
    assert words[words.index("--cores") + 1] == "all"
    assert words[words.index("--configfile") + 1] == "mine.yaml"
    command_line.main(["run", "--jobs", "4"])
    assert "--cores" not in called[1] and called[1][-2:] == ["--jobs", "4"]


def test_help_needs_no_more_than_the_standard_library():
    """Heavy imports wait for the command that needs them."""
    program = (
        "import sys; from boldreel import command_line\n"
        "try: command_line.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'torch', 'pandas', 'yaml', 'jsonschema'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip().endswith("[]")


def test_a_configuration_of_endless_brackets_is_one_line(mine, capsys):
    mine.write_text("a: " + "[" * 5000)
    assert "too many brackets" in failed(capsys, "config", "--configfile", mine)

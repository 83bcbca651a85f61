"""What is derived from a subject is found through provenance, listed, and gone once confirmed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from boldreel import forget
from boldreel.data import provenance
from boldreel.errors import UserError


def made(path: Path, *inputs: Path, command: str = "step") -> Path:
    """A file with its provenance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"made of {len(inputs)}")
    provenance.record(path, inputs=inputs, config={})
    beside = path.with_name(path.name + ".provenance.json")
    entry = json.loads(beside.read_text())
    beside.write_text(json.dumps({**entry, "command": command.split()}))
    return path


def folder(path: Path, *inputs: Path, command: str = "step") -> Path:
    made(path / "model.bin", *inputs, command=command)
    (path / "model.bin.provenance.json").rename(path / "provenance.json")
    return path


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:  # type: ignore[no-untyped-def]
    """Two subjects, a model that both were trained on, one of movies alone, tables and logs."""
    monkeypatch.chdir(tmp_path)
    results = Path("results/demo")
    series = [made(results / f"sub-{s}/series/run.npy") for s in ("01", "02", "021")]
    shared = folder(results / "pretrain/rest", *series[:2], command="t --state state/demo/pretrain")
    made(results / "generator/model.bin", command="t --state state/demo/generator")
    alone = folder(results / "sub-01/align/ridge", series[0], command="t --subject 01")
    folder(results / "sub-01/align/model", alone, shared / "model.bin")
    made(results / "sub-01/other.npy", series[1])
    made(results / "group/metrics.tsv", command="page --subjects 01 02 --level 0.05")
    made(results / "atlas/positions.tsv")
    made(results / "sub-021/choice.tsv", series[2])
    (results / "participants.tsv").write_text("participant_id\nsub-01\nsub-02\n")
    for name in ("align/train-02.log", "align/train-01.log", "report/page.log"):
        path = Path("logs/demo") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("read sub-02/series\n" if "page" in name else "loss 2\n")
    for name in ("pretrain", "generator", "align/sub-02"):
        (Path("state/demo") / name).mkdir(parents=True)
    Path("subjects.tsv").write_text("subject\tnote\n01\tx\n02\ty\n021\tz\n")
    return results


def every_file() -> set[str]:
    return {str(p) for p in Path().rglob("*") if p.is_file()}


def test_all_that_the_subject_went_into_is_gone_and_nothing_else(study, capsys) -> None:  # type: ignore[no-untyped-def]
    forget.main(["--subject", "sub-02", "--subjects", "subjects.tsv", "--yes"])
    said = capsys.readouterr().out
    left = every_file()
    kept = {
        "results/demo/sub-01/series/run.npy",
        "results/demo/sub-01/align/ridge/model.bin",
        "results/demo/sub-021/series/run.npy",
        "results/demo/sub-021/choice.tsv",
        "results/demo/generator/model.bin",
        "results/demo/atlas/positions.tsv",
        "logs/demo/align/train-01.log",
    }
    assert kept <= left
    assert {path for path in left if "provenance" not in path} == {*kept, "subjects.tsv"}
    assert Path("state/demo/generator").exists()
    assert not Path("state/demo/pretrain").exists() and not Path("state/demo/align/sub-02").exists()
    for path in study.rglob("*provenance.json"):
        assert "sub-02" not in path.read_text().replace("sub-021", "")
    assert "results/demo/pretrain/rest" in said.split("Shared models")[1]
    assert "align/model" not in said.split("Shared models")[1]
    table = Path("subjects.tsv").read_text()
    assert table == "subject\tnote\texclude\n01\tx\n02\ty\ttrue\n021\tz\n"


def test_nothing_is_deleted_without_confirmation(study, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    before = every_file()
    words = ["--subject", "02", "--subjects", "subjects.tsv"]
    with pytest.raises(UserError, match="nothing deleted"):
        forget.main(words)
    assert "results/demo/sub-02" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    forget.main(words)
    assert every_file() == before and "exclude" not in Path("subjects.tsv").read_text()
    monkeypatch.setattr("builtins.input", lambda _: "sub-02")
    forget.main(words)
    assert not Path("results/demo/sub-02").exists()


def test_mistakes_are_one_line(study) -> None:  # type: ignore[no-untyped-def]
    def tell(*words: str) -> None:
        forget.main([*words, "--subjects", "subjects.tsv", "--yes"])

    with pytest.raises(UserError, match="nothing is derived from sub-09"):
        tell("--subject", "09")
    with pytest.raises(UserError, match="letters and digits"):
        tell("--subject", "../x")
    with pytest.raises(UserError, match="no such results"):
        tell("--subject", "02", "--dataset", "other")
    Path(".snakemake/locks").mkdir(parents=True)
    Path(".snakemake/locks/0.input.lock").write_text("")
    with pytest.raises(UserError, match="a run is going on"):
        tell("--subject", "02")
    Path(".snakemake/locks/0.input.lock").unlink()
    (study / "atlas/positions.tsv.provenance.json").write_text("{}")
    before = every_file()
    with pytest.raises(UserError, match="not a provenance"):
        tell("--subject", "02")
    assert every_file() == before

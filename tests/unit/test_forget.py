"""What is derived from a subject is found through provenance, listed, and gone once confirmed."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from boldreel import forget, forgotten
from boldreel.data import provenance
from boldreel.errors import UserError


def made(path: Path, *inputs: Path, command: str = "step") -> Path:
    """A file with its provenance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"made of {len(inputs)}")
    return told(path, path.with_name(path.name + ".provenance.json"), inputs, command)


def folder(path: Path, *inputs: Path, command: str = "step") -> Path:
    """A folder of one file, with its provenance."""
    path.mkdir(parents=True)
    (path / "model.bin").write_text(f"made of {len(inputs)}")
    return told(path, path / "provenance.json", inputs, command)


def told(path: Path, beside: Path, inputs: tuple[Path, ...], command: str) -> Path:
    provenance.record(path, inputs=inputs, config={})
    entry = json.loads(beside.read_text())
    beside.write_text(json.dumps({**entry, "command": command.split()}))
    return path


def make_study(results: Path) -> Path:
    """Two subjects, a model that both were trained on, one of movies alone, tables and logs.

    All paths as a run would spell them whose results are told as `results`.
    """
    series = [made(results / f"sub-{s}/series/run.npy") for s in ("01", "02", "021")]
    corpus = folder(results / "corpus", *series[:2], command="corpus --series")
    shared = folder(results / "pretrain/rest", corpus, command="t --state state/demo/pretrain")
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


KEPT = {
    "results/demo/sub-01/series/run.npy",
    "results/demo/sub-01/align/ridge/model.bin",
    "results/demo/sub-021/series/run.npy",
    "results/demo/sub-021/choice.tsv",
    "results/demo/generator/model.bin",
    "results/demo/atlas/positions.tsv",
    "results/demo/forgotten.tsv",
    "logs/demo/align/train-01.log",
    "subjects.tsv",
}


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    return make_study(Path("results/demo"))


def every_file() -> set[str]:
    return {str(p) for p in Path().rglob("*") if p.is_file()}


def test_all_that_the_subject_went_into_is_gone_and_nothing_else(study, capsys) -> None:  # type: ignore[no-untyped-def]
    forget.main(["--subject", "sub-02", "--subjects", "subjects.tsv", "--yes"])
    said = capsys.readouterr().out
    left = every_file()
    assert {path for path in left if "provenance" not in path} == KEPT
    assert Path("state/demo/generator").exists()
    assert not Path("state/demo/pretrain").exists() and not Path("state/demo/align/sub-02").exists()
    for path in study.rglob("*provenance.json"):
        assert "sub-02" not in path.read_text().replace("sub-021", "")
    assert "results/demo/pretrain/rest" in said.split("Shared models")[1]
    assert "align/model" not in said.split("Shared models")[1]
    table = Path("subjects.tsv").read_text()
    assert table == "subject\tnote\texclude\n01\tx\n02\ty\ttrue\n021\tz\n"


def test_no_file_names_the_subject_afterwards_nor_do_snakemakes_records(study) -> None:  # type: ignore[no-untyped-def]
    """By a search of all bytes and names; records of other jobs, and what is next to others, stay."""
    beside = {
        study / "group/strip.png": study / "group/metrics.tsv.provenance.json",
        study / "atlas/map.png": study / "atlas/positions.tsv.provenance.json",
    }
    for path, provenance_file in beside.items():
        path.write_text("picture")
        entry = json.loads(provenance_file.read_text())
        provenance_file.write_text(json.dumps(entry | {"beside": {str(path): "0"}}))
    kept, gone = [], []
    for output, text, at in (
        ("results/demo/sub-02/series/run.npy", "{}", gone),
        ("results/demo/atlas/positions.tsv", "{}", kept),
        ("results/demo/group/table.tsv", '{"input": ["results/demo/sub-02/x"]}', gone),
        ("results/demo/sub-021/" + 150 * "x", "{}", kept),
    ):
        name = base64.urlsafe_b64encode(output.encode()).decode()
        parts = [name[k : k + 200] for k in range(0, len(name), 200)]
        at.append(Path(".snakemake/metadata", *(f"@{part}" for part in parts[:-1]), parts[-1]))
        at[-1].parent.mkdir(parents=True, exist_ok=True)
        at[-1].write_text(text)
    gone.append(Path(".snakemake/log/2026.snakemake.log"))
    gone[-1].parent.mkdir(parents=True)
    gone[-1].write_text("rule roi_series: wildcards: subject=02\n output: results/demo/sub-02/x")
    forget.main(["--subject", "02", "--subjects", "subjects.tsv", "--yes"])
    assert all(path.exists() for path in kept) and not any(path.exists() for path in gone)
    assert not (study / "group/strip.png").exists() and (study / "atlas/map.png").exists()
    for path in map(Path, every_file()):
        assert b"sub-02" not in path.read_bytes().replace(b"sub-021", b"")
        assert "sub-02" not in str(path).replace("sub-021", "")


def test_a_label_that_is_also_a_number_of_a_run_takes_nothing_of_others(study) -> None:  # type: ignore[no-untyped-def]
    kept = [
        study / "sub-02/func/sub-02_task-film_run-1_desc-confounds_timeseries.tsv",
        study / "sub-02/series/task-film_run-1.tsv",
    ]
    gone = [study / "sub-1/series.npy", study / "benchmarks/align/train-1.tsv"]
    for path in (*kept, *gone):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
    forget.main(["--subject", "1", "--subjects", "subjects.tsv", "--yes"])
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)


SPELLINGS = ["results", "./results", "{root}/results", "linked", "state/../results"]


@pytest.mark.parametrize("now", [*SPELLINGS, "from elsewhere", "moved"])
@pytest.mark.parametrize("then", SPELLINGS)
def test_results_may_be_spelled_otherwise_than_when_they_were_made(
    tmp_path, monkeypatch, then, now
) -> None:  # type: ignore[no-untyped-def]
    """The folders above are named like the subject too: they say nothing."""
    root = tmp_path / "sub-02"
    for name in ("results", "state", "elsewhere"):
        (root / name).mkdir(parents=True)
    monkeypatch.chdir(root)
    Path("linked").symlink_to("results")
    make_study(Path(then.format(root=root)) / "demo")
    words = ["--results", now.format(root=root)]
    if now == "from elsewhere":
        monkeypatch.chdir("elsewhere")
        words = [
            word for name in ("results", "state", "logs") for word in (f"--{name}", f"../{name}")
        ]
    elif now == "moved":
        for name in ("results", "state"):
            Path("elsewhere", name).mkdir()
            Path(name, "demo").rename(Path("elsewhere", name, "demo"))
        words = ["--results", "elsewhere/results", "--state", "elsewhere/state"]
    table = str(root / "subjects.tsv")
    forget.main(["--subject", "02", "--subjects", table, "--yes", *words])
    monkeypatch.chdir(root)
    if now == "moved":
        for name in ("results", "state"):
            Path("elsewhere", name, "demo").rename(Path(name, "demo"))
    left = {path for path in every_file() if "provenance" not in path}
    assert {path for path in left if not path.startswith("linked")} == KEPT
    assert sorted(p.name for p in Path("state/demo").rglob("*")) == ["align", "generator"]


def test_a_deletion_that_was_stopped_is_finished_by_the_next(study, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Whatever is left is still found: sources go last, and the note was made before."""
    words = ["--subject", "02", "--subjects", "subjects.tsv", "--yes"]
    for _ in range(30):
        real, budget = forget.delete, [1]

        def one(paths, real=real, budget=budget):  # type: ignore[no-untyped-def]
            real(list(paths)[: budget[0]])
            raise KeyboardInterrupt

        monkeypatch.setattr(forget, "delete", one)
        try:
            with pytest.raises(KeyboardInterrupt):
                forget.main(words)
        except UserError as nothing:
            assert "nothing is derived" in str(nothing)
            break
        finally:
            monkeypatch.setattr(forget, "delete", real)
        assert set(forgotten.read(study)) == {"02"}
    assert {path for path in every_file() if "provenance" not in path} == KEPT
    assert not Path("state/demo/pretrain").exists()


def test_inputs_that_are_nowhere_are_told(study, capsys) -> None:  # type: ignore[no-untyped-def]
    (study / "sub-01/series/run.npy").unlink()
    forget.main(["--subject", "02", "--subjects", "subjects.tsv", "--yes"])
    assert (
        "1 inputs named by provenance are missing (results/demo/sub-01" in capsys.readouterr().out
    )


def test_cohort_tables_are_lists_of_subjects_too(study) -> None:  # type: ignore[no-untyped-def]
    Path("cohort.tsv").write_text("\ufeffsubject\n02\n03\n", encoding="utf-8")
    forget.main(["--subject", "02", "--subjects", "subjects.tsv", "cohort.tsv", "--yes"])
    assert Path("cohort.tsv").read_text() == "subject\texclude\n02\ttrue\n03\n"
    Path("none.tsv").write_text("name\n02\n")
    made(study / "sub-02/x.npy")
    with pytest.raises(UserError, match=r"none.tsv: no column 'subject'"):
        forget.main(["--subject", "02", "--subjects", "none.tsv", "--yes"])


def test_without_lists_those_are_changed_that_the_run_named(study, capsys) -> None:  # type: ignore[no-untyped-def]
    """Not the demo's, which may have a subject of the same name."""
    demo = Path("config/subjects.tsv")
    demo.parent.mkdir()
    demo.write_text("subject\n02\n")
    left = study / "config.resolved.yaml"
    left.write_text("subjects: null\npretrain: {subjects: subjects.tsv}\n")
    forget.main(["--subject", "02", "--yes"])
    assert demo.read_text() == "subject\n02\n" and "true" in Path("subjects.tsv").read_text()
    study.rename("results/mine")
    left = Path("results/mine/config.resolved.yaml")
    left.unlink(missing_ok=True)
    forget.main(["--subject", "01", "--dataset", "mine", "--yes"])
    assert demo.read_text() == "subject\n02\n"


def test_a_run_elsewhere_is_seen(study, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    Path(".snakemake/locks").mkdir(parents=True)
    Path(".snakemake/locks/0.input.lock").write_text("")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    words = ["--results", "../results", "--subjects", "../subjects.tsv", "--yes"]
    with pytest.raises(UserError, match="a run is active here"):
        forget.main(["--subject", "02", *words])


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
    with pytest.raises(UserError, match="a run is active here"):
        tell("--subject", "02")
    Path(".snakemake/locks/0.input.lock").unlink()
    (study / "atlas/positions.tsv.provenance.json").write_text("{}")
    before = every_file()
    with pytest.raises(UserError, match="not a provenance"):
        tell("--subject", "02")
    assert every_file() == before

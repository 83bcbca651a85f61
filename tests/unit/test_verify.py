"""Results that are no longer what their provenance says are found, and told once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from boldreel import step, verify
from boldreel.data import atomic, provenance
from boldreel.errors import UserError


def made(path: Path, *inputs: Path) -> Path:
    atomic.write_text(path, f"{path.name} of {len(inputs)}")
    if path.suffix == ".npy":
        atomic.write_text(path.with_suffix(".json"), '{"units": "gray"}')
    provenance.record(path, inputs=inputs, config={})
    return path


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """movie -> frames -> model (a folder) -> score."""
    monkeypatch.chdir(tmp_path)
    root = Path("results/demo")
    Path("movie").write_text("raw")
    frames = made(root / "frames.npy", Path("movie"))
    with atomic.folder(root / "model") as folder:
        (folder / "weights").write_text("1 2 3")
        provenance.record(folder, inputs=[frames], config={})
    made(root / "score.tsv", root / "model", frames)
    return root


def told(capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    code = 0
    try:
        verify.main([])
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().out.splitlines()


def test_nothing_differs(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "model" / ".snakemake_timestamp").touch()
    assert told(capsys) == (0, ["3 artefacts and 3 inputs compared, 0 differ"])


@pytest.mark.parametrize("name", ["frames.npy", "frames.json", "model/weights", "score.tsv"])
def test_a_flipped_bit_is_found_and_told_once(
    results: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = results / name
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    code, lines = told(capsys)
    assert code == 1 and len(lines) == 2
    artefact = results / name.split("/")[0].replace(".json", ".npy")
    assert lines[0].startswith(f"{artefact}: its bytes are not those that its step left")
    assert lines[1].endswith(", 1 differ")


def test_raw_data_that_changed_make_stale_what_was_made_of_them(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("movie").write_text("another")
    code, lines = told(capsys)
    assert code == 1
    assert lines[0].startswith(f"movie: not what {results / 'frames.npy'} was made from")


@pytest.mark.parametrize("now", ["whole path", "from elsewhere", "moved"])
def test_results_may_be_spelled_otherwise(
    results: Path, now: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All inputs are found, and what changed is told once: not as an input of others as well."""
    (results / "frames.npy").write_text("other")
    root = tmp_path / results
    if now == "moved":
        root = tmp_path / "archive" / "kept"
        root.parent.mkdir()
        results.rename(root)
    elif now == "from elsewhere":
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        root = Path("..") / results
    found = verify.compare(root)
    assert [path.resolve() for path in found.changed] == [(root / "frames.npy").resolve()]
    assert (found.inputs, found.unknown, found.stale) == (3, [], {})


def test_what_is_gone_and_what_was_left_over(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / "score.tsv").unlink()
    (results / ".0123abcd.report.html").write_text("half")
    (results / ".0123abcd.model").mkdir()
    (results / ".0123abcd.model" / "provenance.json").write_text("{")
    (results / ".89abcdef.x.tsv.provenance.json").write_text("{")
    Path("movie").unlink()
    code, lines = told(capsys)
    assert code == 1 and len(lines) == 7
    assert lines[0].startswith(f"{results / 'score.tsv'}: not there")
    for line, name in zip(
        lines[1:4],
        (".0123abcd.model", ".0123abcd.report.html", ".89abcdef.x.tsv.provenance.json"),
        strict=True,
    ):
        assert line.startswith(f"{results / name}: left by a step")
    assert lines[4].startswith("1 inputs are not there")
    assert lines[6] == "less than all was compared"


def test_what_no_provenance_names_and_what_has_no_hash_is_told(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a run leaves without a job, and what a folder or an array's sidecar covers, is not."""
    (results / "sub-01").mkdir()
    (results / "sub-01" / "transform.txt").write_text("1 0 0")
    for name in ("forgotten.tsv", ".lock", "benchmarks/align/model.tsv", "model/more"):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text("x")
    code, lines = told(capsys)
    assert code == 1 and lines[0].startswith(f"{results / 'model'}: its bytes are not those")
    assert lines[1].startswith(f"{results / 'sub-01/transform.txt'}: no provenance names it")
    assert lines[-1] == "less than all was compared" and len(lines) == 4
    (results / "model" / "more").unlink()
    (results / "sub-01" / "transform.txt").unlink()
    where = results / "score.tsv.provenance.json"
    where.write_text(where.read_text().replace('"hash": "', '"hash": null, "was": "'))
    code, lines = told(capsys)
    assert code == 1 and lines[0].startswith(f"{results / 'score.tsv'}: its provenance has no hash")


@pytest.mark.parametrize("recorded", [True, False])
def test_all_that_a_step_writes_is_compared(
    recorded: bool,
    results: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it wrote before and after its provenance, and what a step without any wrote."""
    home, state = results / "sub-01", Path("state/demo")
    monkeypatch.setattr(sys, "argv", ["step", "--movie", "movie", "--state", str(state)])
    monkeypatch.setattr(atomic, "_written", None)
    monkeypatch.setattr(provenance, "_last", None)

    def main() -> None:
        atomic.write_text(home / "checked.json", "{}")
        atomic.write_text(state / "weights", "1")
        if recorded:
            made(home / "series.npy")
        atomic.write_text(home / "page.html", "<p>")

    step.run(main)
    assert told(capsys) == (
        0,
        [f"{6 if recorded else 5} artefacts and 3 inputs compared, 0 differ"],
    )
    (home / "page.html").write_text("<b>")
    code, lines = told(capsys)
    assert code == 1 and lines[0].startswith(f"{home / 'page.html'}: its bytes are not those")
    (home / "page.html").unlink()
    assert told(capsys)[1][0].startswith(f"{home / 'page.html'}: not there")


def test_no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such results"):
        verify.main([])

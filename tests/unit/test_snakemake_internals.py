"""What goes past Snakemake's interface, and a Snakemake without it."""

from types import SimpleNamespace

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


def test_a_snakemake_without_these_attributes_runs_all_the_same(monkeypatch):
    monkeypatch.delattr(benchmark, "BENCHMARK_INTERVAL_SHORT", raising=False)
    internals.measure_memory_seldom()
    assert not hasattr(benchmark, "BENCHMARK_INTERVAL_SHORT")
    bare = SimpleNamespace(
        local_exec=True,
        scheduler=SimpleNamespace(),
        modifier=SimpleNamespace(is_main_snakefile=lambda: False),
    )
    internals.lift_rate_limit(bare)
    assert not vars(bare.scheduler)
    internals.before_jobs_of_importer(bare, lambda: None)
    assert internals.prefixed(bare, "results") == "results"
    assert internals.is_main_process(bare)

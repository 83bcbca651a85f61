"""Everything that uses Snakemake's undocumented interface, in one place.

Takes Snakemake's objects; changes them or returns flagged paths. With a version of Snakemake without one of
these attributes the workflow still runs, only without this feature. Tried with Snakemake 9.15.0, the oldest
that the Snakefile accepts, and 9.27.1.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from snakemake import benchmark
from snakemake.io import flag

_UNCHANGED = "path_modified"  # Snakemake's flag of paths that have their prefix and storage
_RECORDED_AS = "sourcecache_entry"  # its flag of workflow sources, by their original names


class Named(str):
    """A path that Snakemake records under another name: `params` are compared by their repr.

    Parameters
    ----------
    path : where it lies. name : what is recorded.
    """

    name: str

    def __new__(cls, path: str, name: str) -> Named:
        made = super().__new__(cls, path)
        made.name = name
        return made

    def __repr__(self) -> str:
        return repr(self.name)


def as_it_lies(path: str) -> str:
    """An input without a module's prefix and without remote storage; a `Named` path is recorded so.

    Snakemake's own flag for that, `local`, would keep every job with such an input on the machine where
    Snakemake runs.
    """
    flagged = flag(str(path), _UNCHANGED)
    return flag(flagged, _RECORDED_AS, path.name) if isinstance(path, Named) else flagged


def prefixed(workflow: Any, path: str) -> str:
    """A path with the `prefix:` of the module being read, which its inputs and outputs get."""
    modifier = getattr(getattr(workflow, "modifier", None), "path_modifier", None)
    replace = getattr(modifier, "replace_prefix", None)
    return path if replace is None else str(replace(path))


def is_main_process(workflow: Any) -> bool:
    """Whether this is the main Snakemake process, not one that it started for a job."""
    return getattr(workflow, "is_main_process", True)


def limit_gpus(workflow: Any, count: Callable[[], int]) -> None:
    """Start no more GPU jobs at a time on this machine than it has GPUs: the rest would hold cores and wait.

    `--resources gpu=N` comes before that. On clusters the scheduler knows. Call it before the first job.

    Parameters
    ----------
    count : to the number of GPUs, 0 where jobs compute on the CPU; asked only where it matters.
    """
    scheduler: Any = getattr(workflow, "scheduler", None)
    limits: list[Any] = [
        getattr(scheduler, name, None) for name in ("global_resources", "resources")
    ]
    if None in limits or not getattr(workflow, "local_exec", False) or "gpu" in limits[0]:
        return
    if number := count():
        for limit in limits:
            limit["gpu"] = number


def measure_memory_seldom() -> None:
    """Measure the memory of young jobs every two seconds.

    Snakemake does so twice a second, which costs a quarter of a core with hundreds of short jobs.
    """
    if hasattr(benchmark, "BENCHMARK_INTERVAL_SHORT"):
        benchmark.BENCHMARK_INTERVAL_SHORT = 2.0


def lift_rate_limit(workflow: Any) -> None:
    """Submit jobs without a rate limit if all run on this machine.

    Snakemake's limit starts a timer at each start and end of a job, which starts the next timer: after
    hundreds of jobs the timers use half a processor.
    """
    scheduler: Any = getattr(workflow, "scheduler", None)
    if getattr(workflow, "local_exec", False) and hasattr(scheduler, "job_rate_limiter"):
        scheduler.job_rate_limiter = None


def look_again_for_folders() -> None:
    """Let Snakemake's S3 plugin look again for a folder that was missing before.

    The plugin (0.3.6) remembers that there was none, so that Snakemake would never see a folder that a job in
    another process, such as a pod, has stored meanwhile.
    """
    stored: Any = getattr(sys.modules.get("snakemake_storage_plugin_s3"), "StorageObject", None)
    look = getattr(stored, "exists", None)
    if look is None or hasattr(look, "__wrapped__"):
        return

    @functools.wraps(look)
    def exists(self: Any) -> Any:
        found = look(self)
        if found is False and getattr(self, "_is_dir", None) is False:
            self._is_dir = None
        return found

    stored.exists = exists


def before_jobs_of_importer(workflow: Any, function: Callable[[], None]) -> None:
    """Call a function before the first job of a workflow that uses this one as a module.

    Snakemake runs the `onstart` of the main Snakefile alone. It may stand before the module or after it.
    Older versions (9.15) do not know the main Snakefile: they run the last `onstart` of all, a module's too,
    and nothing is changed.
    """
    modifier: Any = getattr(workflow, "modifier", None)
    if not hasattr(modifier, "is_main_snakefile") or modifier.is_main_snakefile():
        return
    if not hasattr(workflow, "_onstart") or not hasattr(workflow, "onstart"):
        return
    register = workflow.onstart

    def both() -> None:
        own = workflow._onstart

        def start(log: Any) -> None:
            function()
            own(log)

        workflow._onstart = start

    def onstart(own: Callable[[Any], None]) -> None:
        register(own)
        if workflow.modifier.is_main_snakefile():
            both()

    both()
    workflow.onstart = onstart

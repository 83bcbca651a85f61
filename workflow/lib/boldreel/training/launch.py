"""A training step in one process, or in several of this machine, one a GPU.

Reads `PROCESSES -m boldreel.<stage>.<step> arguments...`; starts the step and returns its exit code.
Holds the GPUs of all processes before it starts any: all or none.
PyTorch's own launcher (`torch.distributed`) starts the processes and ends all of them when one ends badly
or a signal arrives; each then saves or reports by itself. Several machines: run the step under `torchrun`.
"""

from __future__ import annotations

import runpy
import sys
import uuid

from boldreel.step import Stopped, run
from boldreel.training import device


def launch(processes: int, command: list[str]) -> int:
    """Run `python {command}` in several processes; the exit code of one that failed, or 0."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        with device.hold(processes):
            elastic_launch(config, sys.executable)("-u", *command)
    except ChildFailedError as failed:
        codes = [failure.exitcode for failure in failed.failures.values()]
        return next((code for code in codes if code > 0), 1)
    except SignalException:
        return int(Stopped().code or 0)
    return 0


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    if len(argv) < 3 or not argv[0].isdigit() or argv[1] != "-m":
        sys.exit("usage: python -m boldreel.training.launch PROCESSES -m MODULE [ARGUMENT ...]")
    if int(argv[0]) > 1:
        sys.exit(launch(int(argv[0]), argv[1:]))
    sys.argv = argv[2:]
    runpy.run_module(argv[2], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run(main)

"""One thread for each test process: small jobs run side by side, as in the workflow. No clock decides."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

settings.register_profile("untimed", deadline=None, derandomize=True)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def cc2017_headers(tmp_path_factory) -> dict[int, tuple[bytes, int]]:
    """What a dense series of 200, 245 and 246 volumes begins with, and its size."""
    from tests import fixtures_cc2017

    return fixtures_cc2017.headers(tmp_path_factory.mktemp("headers"))


@pytest.fixture(scope="session")
def cc2017_archive(tmp_path_factory, cc2017_headers) -> Path:
    """Subjects 1 and 3 of cc2017 as distributed; not to be written to."""
    from tests import fixtures_cc2017

    return fixtures_cc2017.archive(tmp_path_factory.mktemp("cc2017") / "archive", cc2017_headers)


@pytest.fixture(scope="session")
def same_weights():
    """Asserts that two dictionaries of tensors agree but for the order in which floats were summed."""

    def compare(one, two):
        import torch

        assert one.keys() == two.keys()
        for name in one:
            a, b = one[name], two[name]
            if name.endswith("qkv.bias"):
                # Keys' biases have no gradient but rounding, which Adam makes steps of.
                a, b = (torch.cat([part.chunk(3)[0], part.chunk(3)[2]]) for part in (a, b))
            torch.testing.assert_close(b, a, rtol=1e-3, atol=2e-5)

    return compare


@pytest.fixture(scope="session")
def train_in():
    """Runs a training step: a single process is the test's own, several are started by the launcher."""

    def run(processes, module, arguments):
        if processes == 1:
            importlib.import_module(module).main(arguments)
        else:
            launcher = [sys.executable, "-m", "boldreel.training.launch", str(processes)]
            subprocess.run([*launcher, "-m", module, *arguments], check=True)

    return run

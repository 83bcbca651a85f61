"""A copy of the repository in which tests may run, stop, damage and change things."""

from __future__ import annotations

import copy
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import yaml

from boldreel import presets

ROOT = Path(__file__).parents[2]
SMALL, OWN = "tests/pipeline/small.yaml", "own.yaml"


def environment() -> dict[str, str]:
    """The environment of a newcomer's shell: no library on the path, no settings of tests or make."""
    own = ("PYTHONPATH", "OMP_NUM_THREADS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV")
    kept = {k: v for k, v in os.environ.items() if k not in own}
    return kept | {"HF_HUB_OFFLINE": "1"}


@dataclass
class Workspace:
    """The copy, and Snakemake in it on a configuration for tests."""

    root: Path
    configuration: str = SMALL  # files with blanks between, later ones win; none for the demo's own
    path: str = ""  # put before PATH

    @property
    def results(self) -> Path:
        return self.root / "results" / "demo"

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        files = self.configuration.split()
        configuration = ["--configfile", *files] if files else []
        return [
            *(sys.executable, "-m", "snakemake", "--cores", str(cores), "--printshellcmds"),
            *arguments,
            *configuration,
        ]

    def own(self) -> Workspace:
        """The same place with a configuration for own data: what the small one says, every size named.

        Own data refuse the demo's base models, so these go by another name.
        """
        sizes = copy.deepcopy(presets.load("demo"))
        small = yaml.safe_load((self.root / SMALL).read_text())
        for name in ("dataset", "insilico", "methods", "method_options"):
            del small[name]
        for key, value in small.items():
            sizes[key] = sizes[key] | value if isinstance(sizes.get(key), dict) else value
        for name, folder in sizes["models"].items():
            sizes["models"][name] = folder and f"base_models/{Path(folder).name}"
        if not (self.root / "base_models").exists():
            shutil.copytree(self.root / "resources" / "insilico", self.root / "base_models")
        (self.root / OWN).write_text(yaml.safe_dump(sizes | {"preset": "base"}))
        return replace(self, configuration=OWN)

    def environment(self) -> dict[str, str]:
        """The newcomer's environment, with the tools of `path` first."""
        known = environment()
        return known | {"PATH": f"{self.path}:{known['PATH']}"} if self.path else known

    def start(self, *arguments: str, log: Path) -> subprocess.Popen:
        """Snakemake in a process group of its own, so that a signal reaches every job."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment(),
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def make(self, target: str, log: Path) -> subprocess.Popen:
        """A target of the Makefile, with this configuration and the environment of the tests."""
        venv = Path(sys.executable).parents[1]
        words = shlex.join(self.command())
        return subprocess.Popen(
            [
                *("make", target, f"VENV={venv}", f"SNAKEMAKE={words}"),
                # the environment is there, whatever the times of the copied files
                *("--assume-old", f"{venv}/.complete"),
            ],
            cwd=self.root,
            env=self.environment(),
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *arguments: str, timeout: float = 1200) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def planned(self, *arguments: str) -> list[tuple[str, str]]:
        """(rule, wildcards) of every job that a run would start now."""
        done = self.run("--dry-run", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        text = done.stdout + done.stderr
        jobs = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", text, flags=re.MULTILINE)
        return [
            (rule, (re.search(r"wildcards: (.*)", body) or [None, ""])[1])
            for rule, body in jobs
            if rule != "all"
        ]

    def stop(self, process: subprocess.Popen, how: signal.Signals, *, unlock: bool = False) -> None:
        """Signal Snakemake and all its jobs at once, and wait until everything is gone.

        Nothing where it has ended by itself. Fails if a process outlives the signal by a minute.
        `unlock` starts `snakemake --unlock`, as a user would; that takes seconds, so the default is to
        remove what it removes.
        """
        if process.poll() is not None:
            return
        os.killpg(process.pid, how)
        process.wait(timeout=120)
        deadline = time.monotonic() + 60
        while self._alive(process.pid):
            assert time.monotonic() < deadline, f"some process outlived {how.name}"
            time.sleep(0.05)
        if unlock:
            done = self.run("--unlock")
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            shutil.rmtree(self.root / ".snakemake" / "locks", ignore_errors=True)

    @staticmethod
    def _alive(group: int) -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        return True

    def shell_command(self, module: str, containing: str, log: str) -> list[str]:
        """The words of the command with which a log says that `module` was run."""
        for line in log.splitlines():
            line = line.strip()
            if f" -m {module} " in line and containing in line:
                words = shlex.split(line.split(" 2>&1 |")[0])
                return words[words.index("python") :]
        raise AssertionError(f"{module} ({containing}) was never run")


class Watched:
    """The state that a training keeps below a folder, read when it has changed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen, self.reached = folder, (0, 0), None

    def look(self) -> tuple[int, int] | None:
        """(epoch, step) that is saved, or None."""
        for path in self.folder.rglob("last.pt"):
            about = path.stat()
            if (about.st_ino, about.st_mtime_ns) != self.seen:
                state = torch.load(path, map_location="cpu", weights_only=True)
                self.seen = about.st_ino, about.st_mtime_ns
                self.reached = state["epoch"], state["step"]
        return self.reached


def copy_of_repository(target: Path) -> Workspace:
    """Everything that git tracks or would track, and nothing else."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return Workspace(target)

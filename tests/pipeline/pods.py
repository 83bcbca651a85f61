"""A stand-in for a Kubernetes cluster: answers the calls of Snakemake's plugin and runs its pods here.

Each pod is a process in an empty folder with nothing of this environment but the Python of the tests, the
plugins and the secrets: what it needs it must fetch from the storage. A job is refused as Kubernetes would
if it requests a GPU without a limit. Volumes have to lie where they are mounted.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Cluster:
    """The server, and all jobs that it was given.

    plugins : folder of packages that the pods' image has next to the environment of the tests
    """

    def __init__(self, folder: Path, plugins: Path) -> None:
        self.folder, self.plugins = folder, plugins
        # every pod installs the storage plugins, which this image has
        (folder / "pip").write_text("#!/bin/sh\n")
        (folder / "pip").chmod(0o755)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self.processes: dict[str, subprocess.Popen] = {}
        self.server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Bound", (Calls,), {"cluster": self})
        )
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def configuration(self) -> Path:
        """A file for KUBECONFIG."""
        path = self.folder / "kubeconfig.json"
        server = {"server": f"http://127.0.0.1:{self.server.server_address[1]}"}
        path.write_text(
            json.dumps(
                {
                    "clusters": [{"name": "here", "cluster": server}],
                    "users": [{"name": "me", "user": {"token": "none"}}],
                    "contexts": [{"name": "it", "context": {"cluster": "here", "user": "me"}}],
                    "current-context": "it",
                }
            )
        )
        return path

    def stop(self) -> None:
        """End the server, and the pods that still run."""
        self.server.shutdown()
        for process in self.processes.values():
            process.kill()

    def start(self, job: dict[str, Any]) -> None:
        """Run a job's pod."""
        name = job["metadata"]["name"]
        (container,) = job["spec"]["template"]["spec"]["containers"]
        work = self.folder / name
        work.mkdir()
        path = f"{self.folder}:{Path(sys.executable).parent}:/usr/bin:/bin"
        known = {"PATH": path, "HOME": str(work)}
        known |= {"PYTHONPATH": str(self.plugins), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        for entry in container.get("env", []):
            key = entry["valueFrom"]["secretKeyRef"]
            known[entry["name"]] = self.secrets[key["name"]][key["key"]]
        self.jobs[name] = job
        self.processes[name] = subprocess.Popen(
            [*container["command"], *container["args"]],
            cwd=work,
            env=known,
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / f"{name}.log").open("w"),
            stderr=subprocess.STDOUT,
        )

    def status(self, name: str) -> dict[str, int]:
        """How a job stands."""
        code = self.processes[name].poll()
        return {"active": 1} if code is None else {"failed" if code else "succeeded": 1}

    def pod(self, name: str) -> dict[str, Any]:
        """A job's pod."""
        code = self.processes[name].poll()
        state = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
        about = {"name": "snakemake", "image": "", "imageID": "", "ready": True, "restartCount": 0}
        return {
            "metadata": {"name": name},
            "status": {"containerStatuses": [about | {"state": state}]},
        }


def refused(job: dict[str, Any]) -> str:
    """Why Kubernetes would not take a job, or nothing."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    wanted = container["resources"].get("requests", {})
    limits = container["resources"].get("limits", {})
    for name, amount in wanted.items():
        if "/" in name and limits.get(name) != amount:
            return f"{name}: limit must be set for non overcommitable resources"
    return ""


class Calls(BaseHTTPRequestHandler):
    """The calls that the plugin makes."""

    cluster: Cluster

    def answer(self, content: Any, code: int = 200) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/secrets"):
            plain = {k: base64.b64decode(v).decode() for k, v in (body.get("data") or {}).items()}
            self.cluster.secrets[body["metadata"]["name"]] = plain
        elif why := refused(body):
            return self.answer({"message": why}, 422)
        else:
            self.cluster.start(body)
        return self.answer(body, 201)

    def do_GET(self) -> None:
        if found := re.search(r"/jobs/([^/?]+)/status", self.path):
            job = self.cluster.jobs[found[1]]
            self.answer(job | {"status": self.cluster.status(found[1])})
        elif found := re.search(r"/pods/([^/?]+)/log", self.path):
            self.answer((self.cluster.folder / f"{found[1]}.log").read_text(errors="replace"))
        elif found := re.search(r"labelSelector=job-name%3D([^&]+)", self.path):
            self.answer({"items": [self.cluster.pod(found[1])]})
        else:
            self.answer({"message": self.path}, 404)

    def do_DELETE(self) -> None:
        if found := re.search(r"/jobs/([^/?]+)", self.path):
            self.cluster.processes[found[1]].kill()
        self.answer({})

    def log_message(self, *_: Any) -> None:
        """Nothing."""

"""All models of a configuration, before the first job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.tools.tiny_hub import MODELS, Hub

from boldreel.base_models import check
from boldreel.base_models import hub as asking
from boldreel.base_models.names import Repository
from boldreel.errors import UserError

REAL = {role: name for role, (name, _) in MODELS.items()}


def test_a_complete_cache_leaves_nothing_to_ask(hub: Hub) -> None:
    assert check.check_named(REAL) == {}


def test_what_is_not_there_is_named_together(hub: Hub, tmp_path: Path) -> None:
    wrong = {"clip": "./nowhere", "caption": str(tmp_path), "alexnet": "no.pth", "sentence": "a--b"}
    with pytest.raises(UserError) as caught:
        check.check_named(REAL | wrong)
    for role in wrong:
        assert f"models.{role}: " in str(caught.value)
    assert "\n" not in str(caught.value) and "diffusion" not in str(caught.value)


def test_a_misspelt_judge_is_an_error_before_the_first_job(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    misspelt = {"image_classifier": "gogle/vit-base-patch16-224", "caption": "a/b@v1"}
    absent = check.check_named(REAL | misspelt)
    assert {role: str(one) for role, one in absent.items()} == misspelt
    command = "image_classifier=gogle/vit-base-patch16-224 caption=a/b@v1"
    assert command in check.absent_line(absent)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set") as caught:
        check.check_hub(absent, elsewhere=True)
    assert command in str(caught.value) and "\n" not in str(caught.value)

    def listing(repository: Repository, timeout: float) -> list[str]:
        assert timeout <= 10
        if repository.id.startswith("gogle"):
            raise asking.UnknownModel("the hub has no model gogle/vit-base-patch16-224")
        return ["config.json", "model.safetensors"]

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(asking, "listing", listing)
    with pytest.raises(UserError) as caught:
        check.check_hub(absent, elsewhere=False)
    assert "the hub has no model gogle/" in str(caught.value)
    assert "models.caption: a/b@v1: preprocessor_config.json is missing" in str(caught.value)


def test_without_a_network_it_depends_on_where_jobs_run(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def away(repository: Repository, timeout: float) -> list[str]:
        asked.append(repository)
        raise asking.Unreachable("no network")

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(asking, "listing", away)
    absent = check.check_named({"clip": "a/b", "caption": "c/d"})
    with pytest.raises(UserError, match=r"a/b.*c/d.*cannot be reached from here \(no network\)"):
        check.check_hub(absent, elsewhere=False)
    assert len(asked) == 1, "one wait is enough"
    (line,) = check.check_hub(absent, elsewhere=True)
    assert "it is assumed that the jobs' machines reach it" in line
    assert check.check_hub({}, elsewhere=False) == []


def test_a_plan_needs_no_package(hub: Hub) -> None:
    """Snakemake's own environment may hold none of the library's packages."""
    script = (
        "import sys, json\n"
        "from boldreel.base_models import check\n"
        f"assert check.check_named({REAL!r}) == {{}}\n"
        "heavy = {'torch', 'transformers', 'diffusers', 'huggingface_hub', 'numpy', 'safetensors'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

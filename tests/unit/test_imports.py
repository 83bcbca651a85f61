"""The hash that decides which stages run again when a module changes, and what starting a step loads."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from boldreel import imports

LIBRARY = Path(imports.__file__).parent
RULES = LIBRARY.parents[1] / "rules"


def test_closure_follows_imports_in_functions_and_packages():
    closure = imports.closure("boldreel.training.loop")
    assert "boldreel.training.state" in closure
    assert "boldreel.data.atomic" in closure, "imported by state, which loop imports"
    assert "boldreel.data" in closure, "importing a module runs its package"
    assert "boldreel.data.video" not in closure


def test_packages_outside_the_library():
    assert {"torch", "accelerate"} <= imports.packages("boldreel.training.loop")
    assert "torch" not in imports.packages("boldreel.data.nifti")


@pytest.fixture
def library(monkeypatch, tmp_path):
    """A library in a folder of its own, and a function that reads it again and hashes one of its modules."""
    folder = tmp_path / "boldreel"
    folder.mkdir()
    (folder / "__init__.py").write_text("")

    def fingerprint(module):
        for cached in (imports._read, imports.closure, imports.fingerprint):
            cached.cache_clear()
        return imports.fingerprint(f"boldreel.{module}")

    with monkeypatch.context() as patch:
        patch.setattr(imports, "_LIBRARY", folder)
        yield folder, fingerprint
    fingerprint("imports")  # nothing of that folder is remembered


def test_fingerprint_changes_with_an_imported_module_only(library):
    folder, fingerprint = library
    for name, text in {"a": "from boldreel import b", "b": "value = 1", "c": "value = 2"}.items():
        (folder / f"{name}.py").write_text(text)
    before = fingerprint("a"), fingerprint("c")
    (folder / "b.py").write_text("value = 3")
    assert fingerprint("a") != before[0]
    assert fingerprint("c") == before[1]


CODE = '''"""What it does."""
import math  # for pi

PAGE = """<p>

# not a comment
</p>"""


class Wheel:
    """A wheel.

    size : its radius
    """

    size: float = 2.0
    """The radius of most of them, in "cm"."""

    def around(self):
        r"""Its way, é and all."""
        # the way around
        return 2 * math.pi * self.size + len(f"{self.size} # {'#'}")
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("What it does.", "It does this."),
        ("A wheel.", 'A "wheel" # round'),
        ("    size : its radius\n", ""),
        ('    """The radius of most of them, in "cm"."""\n', ""),
        ('        r"""Its way, é and all."""\n', ""),
        ("  # for pi", ""),
        ("        # the way around\n", '\n\n# é, it\'s around\n   # """\n'),
        ("\n\n\nclass", "\nclass"),
        ("import math", "# -*- coding: utf-8 -*-\nimport math"),
    ],
)
def test_fingerprint_is_the_same_after_an_edit_of_words(library, old, new):
    folder, fingerprint = library
    (folder / "a.py").write_text(CODE)
    before = fingerprint("a")
    assert old in CODE
    (folder / "a.py").write_text(CODE.replace(old, new))
    assert fingerprint("a") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2.0", "3.0"),
        ("2 *", "2 +"),
        ("2 * math", "-2 * math"),
        ("def around", "def about"),
        ("<p>\n\n#", "<p>\n#"),  # within a string, blank lines and hashes are data
        ("# not a comment", "# not a word"),
        ("</p>", "</p> "),
        ("# {'#'}", "{'#'}"),
        ("        return", "        # return"),
        ("    def around(self):\n", "\ndef around(self):\n"),
    ],
)
def test_fingerprint_changes_with_an_edit_of_code(library, old, new):
    folder, fingerprint = library
    (folder / "a.py").write_text(CODE)
    before = fingerprint("a")
    assert old in CODE
    (folder / "a.py").write_text(CODE.replace(old, new))
    assert fingerprint("a") != before


def test_a_comment_is_told_from_a_string_in_every_module():
    """Without comments each module has the same syntax tree: nothing of its code was taken for one."""
    for path in LIBRARY.rglob("*.py"):
        source = path.read_bytes()
        left = imports._without_comments(source)
        assert ast.dump(ast.parse(left)) == ast.dump(ast.parse(source)), path


# What starting a step loads. Hundreds of jobs do seconds of work each, and a network's libraries take
# longer than that to import.

NETWORKS = {"torch", "diffusers", "transformers", "accelerate", "torchmetrics"}
SLOW = NETWORKS | {"matplotlib", "nilearn", "pandas", "pyarrow", "skimage", "sklearn", "himalaya"}
# Stages whose steps compute with no network.
LIGHT = ("study", "insilico", "bold", "roi", "windows", "report")
LIGHT_STEPS = (
    *("stimuli.decode", "pretrain.corpus", "evaluate.method_differences", "evaluate.group"),
    *("methods.linear.reconstruct", "methods.selfsupervised.videos", "probe.ablation_table"),
)
# Steps whose networks are not the base models'.
OWN_NETWORKS = ("align", "pretrain", "probe", "methods.cvgan", "methods.reconstruct")
# Steps that import them at once, since their modules define networks.
WITH_TORCH = (
    *("evaluate.reference", "evaluate.score", "evaluate.shard", "generator.latents"),
    *("methods.cvgan.train", "methods.linear.train", "methods.reconstruct"),
    *("methods.selfsupervised.train", "probe.attention"),
    *("reconstruct.sample", "generator.tune", "generator.cotrain"),
)


def steps() -> list[str]:
    """All steps that rules start, `STAGE.STEP`."""
    text = "".join(path.read_text() for path in RULES.glob("*.smk"))
    return sorted({*re.findall(r"-m boldreel\.([\w.]+)", text)} - {"training.launch"})


def of(names: tuple[str, ...]) -> list[str]:
    """The steps of these names, or of stages of these names."""
    return [
        step
        for step in steps()
        if step.startswith(tuple(f"{name}." for name in names)) or step in names
    ]


def loaded(names: list[str], then: str = "") -> set[str]:
    """Top-level names of all modules in a process that has imported these steps and run `then`."""
    lines = [f"import boldreel.{name}" for name in names]
    code = "\n".join(
        [*lines, then, "import sys", "print(*{name.split('.')[0] for name in sys.modules})"]
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(LIBRARY.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_steps_without_networks_never_load_their_libraries():
    """Not in functions either."""
    light = [*of(LIGHT), *LIGHT_STEPS]
    assert len(light) > 30 and set(LIGHT_STEPS) <= set(steps())
    heavy = {step: imports.packages(f"boldreel.{step}") & NETWORKS for step in light}
    assert heavy == dict.fromkeys(light, frozenset())


def test_encoders_never_load_the_libraries_of_base_models():
    own = of(OWN_NETWORKS)
    assert len(own) > 10
    for step in own:
        assert not imports.packages(f"boldreel.{step}") & {"diffusers", "transformers"}, step


def test_most_steps_start_with_numpy_alone(tmp_path):
    """All of them in one process; so does reading a table's numbers, which each run's series begin with."""
    table = pd.DataFrame({"i": [1, -1], "j": [2, -1], "k": [3, -1], "x": [0.5, None]})
    table.to_parquet(tmp_path / "positions.parquet")
    names = [step for step in steps() if step not in WITH_TORCH]
    path = str(tmp_path / "positions.parquet")
    read = f"boldreel.data.tables.numbers({path!r}, 'positions', ['i', 'x'])"
    assert len(names) > 40
    assert loaded(names) & SLOW == set()
    assert loaded(["roi.series"], read) & SLOW == {"pyarrow"}


def test_steps_with_networks_start_without_libraries_that_may_not_be_needed():
    made_of_diffusers = ["generator.cotrain", "generator.tune"]
    names = [step for step in of(WITH_TORCH) if step not in made_of_diffusers]
    assert loaded(names) & SLOW == {"torch"}
    assert "transformers" not in loaded(made_of_diffusers)

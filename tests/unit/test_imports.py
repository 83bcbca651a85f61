"""The hash that decides which stages run again when a module changes, and what starting a step loads."""

import ast
from pathlib import Path

import pytest

from boldreel import imports

LIBRARY = Path(imports.__file__).parent


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
        ("        # the way around\n", "\n\n# é, it's around\n   # \"\"\"\n"),
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

"""The hash that decides which stages run again when a module changes."""

from boldreel import imports


def test_closure_follows_imports_in_functions_and_packages():
    closure = imports.closure("boldreel.training.loop")
    assert "boldreel.training.state" in closure
    assert "boldreel.data.atomic" in closure, "imported by state, which loop imports"
    assert "boldreel.data" in closure, "importing a module runs its package"
    assert "boldreel.data.video" not in closure


def test_packages_outside_the_library():
    assert {"torch", "accelerate"} <= imports.packages("boldreel.training.loop")
    assert "torch" not in imports.packages("boldreel.data.nifti")


def test_fingerprint_changes_with_an_imported_module_only(monkeypatch, tmp_path):
    library = tmp_path / "boldreel"
    library.mkdir()
    for name, text in {
        "__init__": "",
        "a": "from boldreel import b",
        "b": "value = 1",
        "c": "value = 2",
    }.items():
        (library / f"{name}.py").write_text(text)
    monkeypatch.setattr(imports, "_LIBRARY", library)

    def fingerprints():
        for cached in (imports._direct, imports.closure, imports.fingerprint):
            cached.cache_clear()
        return imports.fingerprint("boldreel.a"), imports.fingerprint("boldreel.c")

    a, c = fingerprints()
    (library / "b.py").write_text("value = 3")
    changed_a, changed_c = fingerprints()
    assert changed_a != a
    assert changed_c == c
    monkeypatch.undo()
    fingerprints()

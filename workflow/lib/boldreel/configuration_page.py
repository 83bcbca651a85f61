"""Write config/README.md: every key of the configuration with type, default and meaning.

Takes the schema; leaves the page. Run `python -m boldreel.configuration_page > config/README.md`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from boldreel.configuration import schema

HEAD = """# Configuration

Made from `workflow/schemas/config.schema.yaml` by `make config-page`; do not edit.

- `config.yaml`: the embedded demo, which needs no data. Every key that it does not name has its default.
- `bids.yaml`: start here for your own data. `cc2017.yaml`, `hcp.yaml`: those data sets.
- `subjects.tsv`: one row a subject; columns `subject` (label without "sub-"), `exclude` (true leaves the
  subject out of everything) and any others for your own notes.

Use another file on top of `config.yaml` with `--configfile config/config.yaml mine.yaml` (later files win),
or set single keys with `--config seed=1` (nested: `--config 'bold={engine: derivatives}'`). An unknown key
ends the run with one line that names the nearest known one. Times and lags are in seconds, lengths in
millimetres unless a row says otherwise.
"""


def _kind(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return " / ".join(f"`{'null' if value is None else value}`" for value in rule["enum"])
    kinds = rule.get("type", "any")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def _rows(rules: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, rule in rules.get("properties", {}).items():
        name = f"{above}{key}"
        if rule.get("type") == "object" and "properties" in rule:
            yield from _rows(rule, f"{name}.")
            continue
        default = json.dumps(rule["default"], ensure_ascii=False) if "default" in rule else ""
        cell = f"`{default}`" if default else ""
        yield f"| `{name}` | {_kind(rule)} | {cell} | {rule.get('description', '')} |"


def render(rules: Mapping[str, Any] | None = None) -> str:
    """The page as Markdown: a table for the top level and one for each section."""
    rules = rules or schema()
    sections = {k: r for k, r in rules["properties"].items() if "properties" in r}
    top = {"properties": {k: r for k, r in rules["properties"].items() if k not in sections}}
    table = "| key | type | default | meaning |\n|---|---|---|---|\n"
    parts = [HEAD, "\n## Top level\n\n" + table + "\n".join(_rows(top)) + "\n"]
    for name, rule in sections.items():
        about = rule.get("description", "")
        rows = "\n".join(_rows(rule, f"{name}."))
        parts.append(f"\n## `{name}`\n\n{about}\n\n{table}{rows}\n")
    return "".join(parts)


if __name__ == "__main__":
    print(render(), end="")

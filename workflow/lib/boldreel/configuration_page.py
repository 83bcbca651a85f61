"""Write config/README.md: every key of the configuration with its type, values and meaning.

Reads the definitions of the sections and the presets; prints the page. Run
`python -m boldreel.configuration_page > config/README.md`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from boldreel import presets
from boldreel.configuration import schema, value_of
from boldreel.settings import leaves

HEAD = """# Configuration

Generated from the sections' `settings.py` and the presets in `workflow/lib/boldreel/presets/` by
`make config-page`; do not edit.

- `config.yaml`: the demo, which needs no data. It is read if no other configuration sets `bids`.
- `bids.yaml`: start here for your own data. `datasets/`: public data sets (docs/datasets.md); `hcp.yaml`: to
  pretrain on the Human Connectome Project.
- `subjects.tsv`: one row per subject; columns `subject` (label without "sub-"), `exclude` (true
  excludes the subject from everything) and any others for your own notes.

Give your configuration with `--configfile mine.yaml` (later files override earlier ones), or set
single keys with `--config seed=1` (nested: `--config 'bold={engine: derivatives}'`). Keys that you
do not set come from the `preset`: `demo` for the simulated data set, `base` for your own data and
one GPU with 24 GB, `mindvideo` for the sizes of the paper. A single value in the tables is the
default of all presets; three values are those of **demo · base · mindvideo**. A key marked
*required* has no default. An unknown key stops the run with one line that names the nearest known
key. Times and lags are in seconds and lengths in millimetres, unless a row says otherwise.
`results/{dataset}/config.resolved.yaml` lists every value of a run and its origin.
"""


def _kind(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return " / ".join(f"`{'null' if value is None else value}`" for value in rule["enum"])
    kinds = rule.get("type", "any")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def _value(key: str, rule: Mapping[str, Any]) -> str:
    """The default, or the values of the three presets where they are not all the default."""
    own = [value_of(presets.load(name), key, rule.get("default")) for name in presets.NAMES]
    if "default" not in rule and own == [None] * len(own) and not rule["by preset"]:
        return "*required*"
    shown = own if any(value != own[0] for value in own) else own[:1]
    return " · ".join(f"`{json.dumps(value, ensure_ascii=False)}`" for value in shown)


def _table(rules: Mapping[str, Any], above: str = "") -> str:
    rows = (
        f"| `{key}` | {_kind(rule)} | {_value(key, rule)} | {rule['description']} |"
        for key, rule in leaves(rules, above)
    )
    return "| key | type | value | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def render() -> str:
    """The page as Markdown: a table for the top level and one for each section."""
    rules = schema()
    sections = {key: rule for key, rule in rules["properties"].items() if "properties" in rule}
    top = {key: rule for key, rule in rules["properties"].items() if key not in sections}
    parts = [HEAD, "\n## Top level\n\n" + _table({"properties": top})]
    for name, rule in sections.items():
        parts.append(f"\n## `{name}`\n\n{rule['description']}\n\n{_table(rule, f'{name}.')}")
    return "".join(parts)


if __name__ == "__main__":
    print(render(), end="")

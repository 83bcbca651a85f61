"""The float type that a precision means on a device."""

import pytest
import torch
from tests.fixtures_settings import settings

from boldreel.errors import UserError
from boldreel.training import precision


@pytest.mark.parametrize(
    ("name", "units", "kind"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
        ("no", True, torch.float32),
        ("bf16", False, torch.bfloat16),
        ("fp16", False, torch.float16),
    ],
)
def test_auto_rounds_only_where_the_processor_has_units_for_it(monkeypatch, name, units, kind):
    monkeypatch.setattr(precision, "has_matrix_units", lambda: units)
    assert precision.dtype(name, torch.device("cpu")) == kind


@pytest.mark.parametrize("emulated", [True, False])
def test_a_card_that_only_emulates_bfloat16_computes_in_float32(monkeypatch, emulated):
    def supported(including_emulation: bool = True) -> bool:
        return including_emulation or not emulated

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    kind = precision.dtype("auto", torch.device("cuda"))
    assert kind == (torch.float32 if emulated else torch.bfloat16)


def test_an_unknown_precision_is_told():
    with pytest.raises(
        UserError, match=r"mixed_precision is 'half'; it must be auto or no or bf16 or fp16"
    ):
        settings("reconstruct", mixed_precision="half")

"""A model file is believed only where its numbers and its metadata agree and can be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.encodings.hash_grid import HashGrid
from polyfield.errors import InputError
from polyfield.fields.coordinate import Coordinate
from polyfield.renderers.model_files import load_model, save_model
from polyfield.renderers.signal_model import SignalInfo, SignalModel
from polyfield.tensors import load_tensors, save_tensors

Change = Callable[[dict[str, Tensor], dict[str, Any]], object]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    field = Coordinate(HashGrid(levels=2, log2_size=4, base_resolution=2, finest_resolution=4))
    info = SignalInfo("image", (4, 3), (4.0, 3.0), 3, {"color_space": "srgb"})
    save_model(tmp_path / "model.safetensors", SignalModel(field, info))
    return tmp_path / "model.safetensors"


CHANGES: dict[str, Change] = {
    "a weight that is not a number": lambda t, m: (
        t["field.encoding.table"].view(-1)[:1].fill_(torch.nan)
    ),
    "an infinite weight": lambda t, m: t["field.encoding.table"].view(-1)[-1:].fill_(torch.inf),
    "a box that is not a number": lambda t, m: t["field.domain.bounds"].fill_(torch.nan),
    "a box turned over": lambda t, m: t["field.domain.bounds"].copy_(
        t["field.domain.bounds"].flip(0)
    ),
    "another box": lambda t, m: t["field.domain.bounds"].mul_(2),
    "a tensor too few": lambda t, m: t.pop("field.encoding.table"),
    "a tensor too many": lambda t, m: t.update(more=torch.ones(2)),
    "an extent of no length": lambda t, m: m.update(extent=[4.0, 0.0]),
    "an extent for another shape": lambda t, m: m.update(extent=[4.0, 3.0, 2.0]),
    "words for numbers": lambda t, m: m.update(shape=["four", 3]),
    "no channels": lambda t, m: m.update(channels=0),
    "a scale that is not finite": lambda t, m: m.update(scale=float("nan")),
    "an endless scale": lambda t, m: m.update(scale=float("inf")),
    "an unknown layout": lambda t, m: m.update(model="mesh"),
    "a layout of another form": lambda t, m: m.update(model=["signal"]),
    "no field": lambda t, m: m.update(field=None),
    "facts of another form": lambda t, m: m.update(about=3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_does_not_fit_is_one_line(name: str, file: Path) -> None:
    tensors, meta = load_tensors(file)
    tensors = {key: tensor.clone() for key, tensor in tensors.items()}
    assert load_model(file).kind == "image"
    CHANGES[name](tensors, meta)
    save_tensors(file, tensors, meta)
    with pytest.raises(InputError, match=r"a whole polyfield model|given|finite|above") as caught:
        load_model(file)
    assert len(str(caught.value)) <= 320

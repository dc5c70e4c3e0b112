"""A checkpoint goes into a loop whole, or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.encodings.domain import Box
from polyfield.encodings.hash_grid import HashGrid
from polyfield.errors import InputError
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.networks.mlp import Perceptron
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.signals.image import ImageFile
from polyfield.training.loop import Fit, FitConfig
from polyfield.training.objectives.photometric import stored_rays
from polyfield.training.objectives.regression import Regression
from polyfield.training.take_over import take_over

State = dict[str, Tensor]


def _loop() -> Fit:
    torch.manual_seed(0)
    pixels = torch.rand(6, 8, 3, generator=torch.Generator().manual_seed(1)).numpy()
    picture = ImageFile().build(pixels, ReadOptions())
    grid = HashGrid(levels=2, log2_size=4, base_resolution=2, finest_resolution=4)
    field = Coordinate(grid, Perceptron(hidden=8, layers=1)).build(Box(picture.bounds), 3)
    return Fit(field, Regression(batch=16).build(picture, field, seed=0), FitConfig(steps=9))


@pytest.fixture
def saved() -> tuple[State, dict[str, Any]]:
    loop = _loop()
    loop.step()
    meta = {"step": loop.progress.step, "samples": loop.progress.samples}
    return {name: tensor.clone() for name, tensor in loop.state().items()}, meta


def test_a_checkpoint_goes_on(saved: tuple[State, dict[str, Any]]) -> None:
    loop = _loop()
    take_over(loop, *saved, Path("run"))
    assert loop.progress.step == 1
    for name, tensor in loop.state().items():
        assert tensor.equal(saved[0][name]), name


CHANGES: dict[str, Callable[[State], object]] = {
    "progress": lambda s: s["progress"].__setitem__(0, -1),
    "progress ": lambda s: s["progress"].__setitem__(1, torch.nan),
    "progress  ": lambda s: s["progress"].__setitem__(0, 5),
    "progress   ": lambda s: s["progress"].__setitem__(3, 0),
    "field.encoding.table": lambda s: s["field.encoding.table"].view(-1)[:1].fill_(torch.nan),
    "field.domain.bounds": lambda s: s["field.domain.bounds"].mul_(2),
    "field.domain.bounds ": lambda s: s["field.domain.bounds"].fill_(torch.nan),
    "progress    ": lambda s: s.update(progress=s["progress"][:3]),
    "field.encoding.table ": lambda s: s.pop("field.encoding.table"),
    "field.encoding.table  ": lambda s: s.update(
        {"field.encoding.table": s["field.encoding.table"].double()}
    ),
    "field.more": lambda s: s.update({"field.more": torch.ones(1)}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_does_not_fit_is_one_line(name: str, saved: tuple[State, dict[str, Any]]) -> None:
    state, meta = saved
    CHANGES[name](state)
    with pytest.raises(InputError, match=f"whose {name.strip()} does not fit"):
        take_over(_loop(), state, meta, Path("run"))


def test_moments_that_are_not_finite(saved: tuple[State, dict[str, Any]]) -> None:
    state, meta = saved
    name = next(n for n, t in state.items() if n.startswith("optimizer.") and t.is_floating_point())
    state[name].view(-1)[:1].fill_(torch.inf)
    with pytest.raises(InputError, match="optimizer"):
        take_over(_loop(), state, meta, Path("run"))


@pytest.mark.parametrize("position", [-1, 10**9, 2**63 - 1])
def test_a_place_that_is_not_in_the_order(
    position: int, saved: tuple[State, dict[str, Any]]
) -> None:
    state, meta = saved
    state["objective.position"].fill_(position)
    with pytest.raises(InputError, match="position"):
        take_over(_loop(), state, meta, Path("run"))


@pytest.mark.parametrize("rays", [-1, 0, 2**40])
def test_as_many_rays_as_no_step_takes(rays: int) -> None:
    with pytest.raises(ValueError, match="rays"):
        stored_rays(torch.tensor(rays), 4096)
    assert stored_rays(torch.tensor(64), 1) == 64

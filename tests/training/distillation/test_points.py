"""What a student learns at points: stages, clamps, heads, units."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.encodings.domain import Box
from polyfield.encodings.hash_grid import HashGrid
from polyfield.errors import InputError
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.fields.deep_radiance import DeepRadiance
from polyfield.fields.kilo import KiloBank
from polyfield.fields.plain_nerf import PlainNerf
from polyfield.fields.radiance import Radiance
from polyfield.fields.voxels import Voxels
from polyfield.training.distillation.heads import WithHeads
from polyfield.training.distillation.points import (
    HALF,
    PointLoss,
    density_term,
    feature_term,
    inherit,
    opacity,
    opacity_loss,
    point_terms,
    share_feature,
    size,
)

CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
GRID = Radiance(HashGrid(levels=4, features=2, log2_size=8, finest_resolution=32))
DEEP = DeepRadiance(octaves=2, trunk=16, layers=3, skip=1, out=8)
KINDS = {
    "grid": GRID,
    "deep": DEEP,
    "nerf": PlainNerf(trunk=24, layers=3, skip=1),
    "voxels": Voxels(cells=8),
    "kilo": KiloBank(cells=2),
}


def _field(kind: str, bounds: Tensor = CUBE) -> RadianceField:
    torch.manual_seed(0)
    field: RadianceField = KINDS[kind].build(Box(bounds))
    field.set_progress(1.0)
    return field


def _seen(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(n, 3, generator=generator) * 2 - 1
    return x, torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)


def _sample(log_density: Tensor) -> RadianceSample:
    n = len(log_density)
    return RadianceSample(log_density.exp() / 2, torch.zeros(n, 3), log_density)


def test_stages_follow_progress() -> None:
    loss = PointLoss()
    found = [loss.stage(p, True) for p in (0, 0.066, 0.067, 0.166, 0.167, 1)]
    assert found == [1, 1, 2, 2, 3, 3]
    assert [loss.stage(p, False) for p in (0, 0.16, 0.17)] == [2, 2, 3]
    assert PointLoss(stages=(0.0, 0.0)).stage(0, True) == 3
    with pytest.raises(InputError):
        PointLoss(stages=(0.5, 0.2))


def test_the_feature_counts_by_its_norm() -> None:
    one, two = torch.zeros(5, 3), torch.ones(5, 3)
    assert feature_term(PointLoss(feature=0.1), one, two).item() == pytest.approx(0.1 * 15**0.5)


def test_sizes_of_residuals() -> None:
    r = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert size("norm", r).item() == 5 and size("mse", r).item() == 6.25
    assert size("mse", r[:0]).item() == 0 and size("norm", r[:0]).item() == 0


def test_the_clamp_is_in_half_box_lengths_and_leads_back() -> None:
    """Beyond the range nothing is lost, and a student beyond it is pulled back only."""
    low, high = -2 + HALF, 7 + HALF
    teacher = torch.tensor([low - 5, high + 5, 1.0])
    assert density_term(PointLoss(), torch.tensor([low, high + 9, 1.0]), teacher).item() == 0
    student = torch.tensor([low - 3, low - 3, high + 3], requires_grad=True)
    wanted = torch.tensor([low - 9, 1.0, 1.0])
    (slope,) = torch.autograd.grad(density_term(PointLoss(), student, wanted), student)
    assert slope[0] == 0 and slope[1] < 0 and slope[2] > 0
    free = PointLoss(clamp=None)
    assert density_term(free, student.detach(), wanted).item() > free.density * 6


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [("grid", "deep", True), ("grid", "nerf", False), ("voxels", "voxels", False),
     ("nerf", "nerf", True), ("kilo", "grid", False)],
)  # fmt: skip
def test_which_pairs_share_a_feature(one: str, two: str, shared: bool) -> None:
    assert share_feature(_field(one), _field(two)) is shared


def test_stage_one_moves_nothing_behind_the_feature() -> None:
    """P1: the colour network gets no gradient, and in stage 2 it does."""
    student, teacher = _field("deep"), _field("grid")
    x, directions = _seen(40)
    feature_term(PointLoss(), student.geometry(x)[1], teacher.geometry(x)[1]).backward()
    found = {name: p.grad is not None for name, p in student.named_parameters()}
    assert found == {name: not name.startswith("color") for name in found}
    terms = point_terms(PointLoss(), student(x, directions), teacher(x, directions), True)
    assert set(terms) == {"density", "color", "feature"}
    sum(terms.values(), torch.zeros(())).backward()
    assert all(p.grad is not None for p in student.parameters())


def test_heads_are_inherited_and_tables_are_not() -> None:
    deep, grid = _field("deep"), _field("grid")
    with torch.no_grad():
        for p in grid.parameters():
            p.add_(0.5)
    assert sorted(inherit(deep, grid)) == ["color_network.weights", "density_network.weights"]
    for name in ("color_network.weights", "density_network.weights"):
        assert torch.equal(deep.state_dict()[name], grid.state_dict()[name])
    other = _field("grid")
    before = other.position.table.detach().clone()  # type: ignore[union-attr]
    inherit(other, grid)
    assert torch.equal(other.position.table, before)  # type: ignore[union-attr, arg-type]
    assert inherit(_field("voxels"), grid) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_units_changes_no_loss(kind: str) -> None:
    """The same parameters in a box ten times as large: the same terms, the same opacities."""
    x, directions = (tensor.double() for tensor in _seen(60))
    found = []
    for scale in (1.0, 10.0):
        student = _field(kind, CUBE * scale).double()
        teacher = _field("grid", CUBE * scale).double()
        ours, theirs = student(x * scale, directions), teacher(x * scale, directions)
        terms = point_terms(PointLoss(), ours, theirs, False)
        found.append([*terms.values(), opacity_loss(student, ours, theirs.rgb, theirs.density)])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-8)


def test_opacity_is_kilonerfs() -> None:
    """1 - exp(-10 * 0.0211) for a density of 10 in a box of 2.4, as the released code has it."""
    field = _field("grid", torch.tensor([[0.0, 0.0, 0.0], [2.4, 1.0, 1.0]]))
    found = opacity(field, torch.tensor([0.0, 10.0]))
    torch.testing.assert_close(found, torch.tensor([0.0, 1 - math.exp(-0.211)]))


@pytest.mark.parametrize("kind", KINDS)
def test_heads_teach_the_stages_and_leave_the_answer_alone(kind: str) -> None:
    student, teacher = _field(kind), _field("grid")
    x, directions = _seen(50)
    before = student(x, directions)
    headed = WithHeads(student)
    assert set(headed.groups()) == {*student.groups(), "heads"}
    after = headed(x, directions)
    assert torch.equal(before.rgb, after.rgb) and torch.equal(before.density, after.density)
    headed.terms(PointLoss(), x, directions, teacher(x, directions)).backward()
    assert all(p.grad is not None for p in headed.heads.parameters())
    assert any(p.grad is not None for p in student.parameters())


def test_a_student_learns_the_teacher_at_points() -> None:
    """A few steps of Adam on the terms alone bring both near."""
    student, teacher = _field("deep"), _field("grid")
    optimizer = torch.optim.Adam(student.parameters(), 3e-3)
    x, directions = _seen(300)
    with torch.no_grad():
        wanted = teacher(x, directions)
    losses = []
    for _ in range(60):
        terms: dict[str, Any] = point_terms(PointLoss(), student(x, directions), wanted, False)
        loss = sum(terms.values(), torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]

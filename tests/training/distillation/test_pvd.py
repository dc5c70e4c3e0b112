"""Distillation as objectives: every kind into every other, the same points, resuming."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from polyfield.apps.tasks.scene import Scene
from polyfield.apps.tasks.scene_presets import scene_presets
from polyfield.backends import dispatch
from polyfield.encodings.basis_grid import BasisGrid
from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.domain import Box
from polyfield.encodings.factored import CP, TriPlane, VectorMatrix
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.encodings.rbf import Rbf
from polyfield.errors import InputError
from polyfield.fields.base import RadianceField, SignalField
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.deep_radiance import DeepRadiance
from polyfield.fields.factored_radiance import FactoredRadiance
from polyfield.fields.kernel_radiance import KernelRadiance
from polyfield.fields.kilo import KiloBank
from polyfield.fields.modulated_radiance import ModulatedRadiance
from polyfield.fields.networks.siren import Siren
from polyfield.fields.plain_nerf import PlainNerf
from polyfield.fields.radiance import Radiance
from polyfield.fields.voxels import Voxels
from polyfield.renderers.occupancy import OccupancyGrid, OccupancySampler
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.training.distillation.extract_occupancy import extract_occupancy
from polyfield.training.distillation.heads import WithHeads
from polyfield.training.distillation.kilonerf import CellDistillation
from polyfield.training.distillation.points import PointLoss, inherit
from polyfield.training.distillation.pvd import PoseDistillation, PoseObjective
from polyfield.training.distillation.values import SignalDistillation
from polyfield.training.loop import Fit, FitConfig
from polyfield.training.objectives.staged import Staged
from polyfield.training.scores import psnr_of

CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
SMALL = HashGrid(levels=3, features=2, log2_size=8, finest_resolution=32)
LARGE = HashGrid(levels=3, features=4, log2_size=10, finest_resolution=64)
KINDS: Mapping[str, Any] = {
    "hash": Radiance(SMALL),
    "hash-large": Radiance(LARGE),
    "dense": Radiance(DenseGrid(levels=2, features=2, base_resolution=4, finest_resolution=8)),
    "triplane": Radiance(TriPlane(features=4, resolution=8)),
    "rbf": Radiance(Rbf(kernels=50, neighbours=3, waves=None, normalise=False, grid=SMALL)),
    "vm": FactoredRadiance(VectorMatrix(2, 8), VectorMatrix(2, 8, "concat"), hidden=16),
    "cp": FactoredRadiance(CP(4, 8), CP(4, 8), hidden=16),
    "voxels": Voxels(cells=8),
    "mlp": DeepRadiance(octaves=2, trunk=16, layers=3, skip=1, out=6),
    "nerf": PlainNerf(octaves=2, trunk=16, layers=3, skip=1, color_hidden=8),
    "cam": ModulatedRadiance(hidden=16, layers=2, skip=0, color_hidden=8, planes=4),
    "gnf": KernelRadiance(BasisGrid((2,), (8,), (1.0,))),
    "kilo": KiloBank(cells=2),
}
GROUPS = ("table", "network", "modulation", "heads")


def _field(kind: str) -> RadianceField:
    torch.manual_seed(0)
    field: RadianceField = KINDS[kind].build(Box(CUBE))
    return field


def _cameras(n: int = 6) -> Cameras:
    found = []
    for i in range(n):
        angle = 2 * math.pi * i / n
        back = torch.tensor([math.cos(angle), math.sin(angle), 0.3])
        back = back / back.norm()
        right = nn.functional.normalize(
            torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0]), back), dim=0
        )
        pose = torch.eye(4)
        pose[:3, 0], pose[:3, 1], pose[:3, 2] = right, torch.linalg.cross(back, right), back
        pose[:3, 3] = back * 3
        found.append(Camera(pose, 16, 16, 20.0, 20.0, 8.0, 8.0))
    return Cameras.stack(found)


def _sampler(filled: bool = True) -> OccupancySampler:
    sampler = OccupancyGrid(resolution=8, steps=32).build(Box(CUBE))
    if filled:
        value = torch.zeros(8, 8, 8)
        value[2:6, 2:6, 2:6] = 5.0
        sampler.adopt(value)
    return sampler


def _pose(teacher: RadianceField, student: RadianceField, **options: Any) -> PoseObjective:
    heads = options.pop("heads", None)
    config = PoseDistillation(samples=256, max_rays=64, poses=5, **options)
    return config.build(teacher, student, _sampler(), _cameras(), 0, heads)


def test_the_kinds_are_those_of_the_presets() -> None:
    assert set(KINDS) == set(scene_presets())


@pytest.fixture
def plain() -> Iterator[None]:
    """The reference: kernels are compared with it elsewhere, and each would have to be compiled."""
    with dispatch.force("reference"):
        yield


@pytest.mark.parametrize("student", KINDS)
def test_any_to_any(student: str, plain: None) -> None:
    """From every teacher three steps of each stage; the teacher keeps still."""
    sampler = _sampler()
    for teacher in KINDS:
        if teacher == student:
            continue
        master, pupil = _field(teacher), _field(student)
        for parameter in master.parameters():
            parameter.requires_grad_(False)
        if master.takes_points:
            master.init_from_points(torch.rand(500, 3) * 2 - 1, torch.ones(500))
        before = {n: t.clone() for n, t in master.state_dict().items()}
        inherit(pupil, master)
        if Scene.method_of(student).name == "kilonerf":
            objective: Any = CellDistillation(256).build(master, pupil, sampler, 0)
        else:
            objective = _pose(master, pupil, loss=PointLoss(stages=(1 / 3, 2 / 3)))
        fit = Fit(pupil, objective, FitConfig(steps=9, rates=dict.fromkeys(GROUPS, 1e-3)))
        fit.run()
        assert math.isfinite(fit.progress.loss) and fit.progress.rewinds == 0, teacher
        assert 1 < fit.progress.numbers["samples"] < 5000
        for name, tensor in master.state_dict().items():
            assert torch.equal(tensor, before[name]), (teacher, name)


@pytest.mark.parametrize(
    "levels", [("poses",), ("rays",), ("points",), ("poses", "rays", "points")]
)
def test_levels_of_hard_examples(levels: Any) -> None:
    objective = _pose(_field("hash"), _field("mlp"), levels=levels)
    fit = Fit(objective.student, objective, FitConfig(steps=40, rates={"network": 1e-3}))
    fit.run()
    assert fit.progress.rewinds == 0 and objective.epoch == 7
    assert (len(objective.pose_pool.poses) > 0) == ("poses" in levels)
    assert (objective.ray_pool.count > 0) == ("rays" in levels)


def test_poses_are_hard_only_once_they_were_rendered() -> None:
    """Eight epochs, the first four of them without stage 3: nothing is taken from those."""
    objective = _pose(_field("hash"), _field("mlp"), levels=("poses",))
    for step in range(40):
        objective(step, 0.1 if step < 23 else 0.5)
        if step < 30:
            assert len(objective.pose_pool.poses) == 0, step
    assert len(objective.pose_pool.poses) > 0 and objective.epoch == 7


@pytest.mark.parametrize("lends", [False, True])
def test_both_are_asked_at_the_same_points(lends: bool) -> None:
    """P2: bit for bit; a teacher that lends is asked at more of them.

    It is asked front to back, so in another order; light reaches all of this thin fog.
    """
    teacher, student = _field("hash"), _field("vm")
    asked: dict[str, list[Tensor]] = {"teacher": [], "student": []}
    for name, field in (("teacher", teacher), ("student", student)):
        field.register_forward_hook(
            lambda module, given, out, name=name: asked[name].append(torch.cat(given, 1))
        )
    objective = _pose(teacher, student, all_samples=not lends)
    for step, progress in enumerate((0.1, 0.9)):
        for found in asked.values():
            found.clear()
        objective(step, progress)
        assert len(asked["student"]) == 1
        theirs, ours = (sorted(torch.cat(a).tolist()) for a in asked.values())
        if lends:
            rows = {tuple(row) for row in theirs}
            assert len(ours) < len(theirs) and all(tuple(row) in rows for row in ours)
        else:
            assert ours == theirs


def test_rendered_colour_counts_in_the_last_stage_only() -> None:
    objective = _pose(_field("hash"), _field("mlp"))
    assert "mse" not in objective(0, 0.0)[1] and "mse" not in objective(1, 0.1)[1]
    assert "mse" in objective(2, 0.2)[1]
    # A pair without a common feature begins with stage 2: its colours get a gradient at once.
    student = _field("voxels")
    _pose(_field("hash"), student)(0, 0.0)[0].backward()
    assert student.color_grids[0].grad is not None  # type: ignore[index, union-attr]


def test_heads_train_with_the_student() -> None:
    student = _field("mlp")
    heads = WithHeads(student)
    objective = _pose(_field("voxels"), student, heads=heads)
    before = [p.detach().clone() for p in heads.heads.parameters()]
    Fit(heads, objective, FitConfig(steps=3, rates=dict.fromkeys(GROUPS, 1e-3))).run()
    assert all(
        not torch.equal(old, new) for old, new in zip(before, heads.heads.parameters(), strict=True)
    )


def test_it_goes_on_where_it_stopped() -> None:
    """Six steps, and three and three with everything but the state new."""
    levels = ("poses", "rays", "points")
    rates = {"network": 1e-3}

    def fresh() -> Fit:
        objective = _pose(_field("hash"), _field("mlp"), levels=levels)
        return Fit(objective.student, objective, FitConfig(steps=14, rates=rates))

    whole = fresh()
    whole.run()
    one, two = fresh(), fresh()
    for _ in range(7):
        one.step()
        one.progress.fraction = one.progress.step / 14
    two.load_state({name: t.clone() for name, t in one.state().items()})
    two.run()
    for name, wanted in whole.field.state_dict().items():
        torch.testing.assert_close(two.field.state_dict()[name], wanted)


def test_cells_are_taught_where_there_is_something() -> None:
    """Points in occupied cells and those around; with `everywhere` as many in every cell."""
    teacher, student = _field("hash"), _field("kilo")
    seen: list[Tensor] = []
    teacher.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    inner = CellDistillation(2000).build(teacher, student, _sampler(), 0)
    loss, numbers = inner(0, 0.0)
    inside = seen[-1].abs().amax(-1) <= 0.75
    assert inside.all() and 1200 < numbers["samples"] <= 2000 and loss.requires_grad
    everywhere = CellDistillation(2000, everywhere=True)
    everywhere.build(teacher, student, _sampler(), 0)(0, 0.0)
    assert (seen[-1].abs().amax(-1) > 0.75).any() and len(seen[-1]) == 2000


def test_kernels_are_placed_before_cells_are_taught(plain: None) -> None:
    teacher, student = _field("hash"), _field("rbf")
    CellDistillation(200).build(teacher, student, _sampler(), 0)
    assert bool(student.state_dict()["position.placed"])


def test_a_teacher_of_nothing() -> None:
    sampler = _sampler()
    sampler.adopt(torch.zeros_like(sampler.value))
    with pytest.raises(InputError, match="nothing"):
        CellDistillation(200).build(_field("hash"), _field("kilo"), sampler, 0)


def test_a_grid_out_of_a_teacher() -> None:
    """The largest density on a lattice whose shared points are asked once; the rest is empty."""
    into = OccupancyGrid(resolution=4, steps=16).build(Box(CUBE))
    asked: list[Tensor] = []

    def density(x: Tensor) -> Tensor:
        asked.append(x)
        return x[:, 0] + 2

    teacher = _sampler()
    extract_occupancy(into, density, teacher)
    points = torch.cat(asked)
    assert len(points.unique(dim=0)) == len(points) == 9**3
    # The density grows along x, and a cell's lattice reaches its far face.
    wanted = torch.tensor([1.5, 2.0, 2.5, 3.0])[:, None, None].expand(4, 4, 4)
    torch.testing.assert_close(into.value, wanted)
    assert into.occupied.all()
    corner = torch.zeros(8, 8, 8)
    corner[0, 0, 0] = 1.0
    teacher.adopt(corner)
    asked.clear()
    extract_occupancy(into, density, teacher)
    assert len(torch.cat(asked)) == 27 and into.value.count_nonzero() == 1


@pytest.mark.parametrize("resolution", [4, 8, 16])
def test_a_grid_of_what_the_teacher_shows(resolution: int) -> None:
    """Cells that it passes over are empty, though its density is the same everywhere."""
    into = OccupancyGrid(resolution=resolution, steps=16).build(Box(CUBE))
    teacher, corner = _sampler(), torch.zeros(8, 8, 8)
    corner[:2, 0, 7] = 1.0
    teacher.adopt(corner)
    extract_occupancy(into, lambda x: torch.ones(len(x)), teacher, as_seen=True)
    wanted = torch.zeros(resolution, resolution, resolution, dtype=torch.bool)
    wide = max(resolution // 8, 1)
    wanted[: resolution // 4, :wide, resolution - wide :] = True
    assert torch.equal(into.occupied, wanted)


def test_phases_share_the_budget() -> None:
    class Part:
        def __init__(self) -> None:
            self.seen: list[tuple[int, float]] = []

        def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
            self.seen.append((step, round(progress, 6)))
            return torch.zeros(()), {}

        def state(self) -> dict[str, Tensor]:
            return {"n": torch.tensor(len(self.seen))}

        def load_state(self, state: Mapping[str, Tensor]) -> None:
            self.loaded = int(state["n"])

    one, two = Part(), Part()
    phases = Staged([(0.25, one), (1.0, two)])
    for step, progress in enumerate((0.0, 0.125, 0.25, 0.625, 1.0)):
        phases(step, progress)
    assert one.seen == [(0, 0), (1, 0.5)] and two.seen == [(2, 0), (3, 0.5), (4, 1)]
    phases.load_state(phases.state())
    assert (one.loaded, two.loaded) == (2, 3)


class _Sphere(SignalField):
    """A signed distance in three dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.domain, self.out_dim = Box(CUBE), 1

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {}

    def forward(self, x: Tensor) -> Tensor:
        return x.norm(dim=-1, keepdim=True) - 0.5


@pytest.mark.parametrize("slopes", [0.0, 0.1])
def test_a_distance_field_learns_a_sphere(slopes: float, plain: None) -> None:
    torch.manual_seed(0)
    student = Coordinate(Identity(centered=True), Siren(32, 2, 3.0, 3.0)).build(Box(CUBE), 1)
    config = SignalDistillation(batch=256, slopes=slopes)
    objective = config.build(_Sphere(), student, 0)
    first = psnr_of(objective(0, 0.0)[1]["mse"])
    fit = Fit(student, objective, FitConfig(steps=120, rates={"network": 2e-3}, final=0.1))
    fit.run()
    assert psnr_of(fit.progress.numbers["mse"]) > max(28.0, first + 15)
    x = torch.tensor([[0.5, 0.0, 0.0], [0.9, 0.9, 0.0]])
    torch.testing.assert_close(student(x), _Sphere()(x), rtol=0, atol=0.1)


def test_signals_of_another_kind() -> None:
    square = Coordinate().build(Box(torch.tensor([[0.0, 0.0], [8.0, 6.0]])), 3)
    with pytest.raises(InputError):
        SignalDistillation().build(_Sphere(), square, 0)


def test_kernels_and_references_teach_the_same() -> None:
    """One step of a whole stage, on both paths."""
    found = []
    for backend in ("auto", "reference"):
        with dispatch.force(backend):
            objective = _pose(_field("hash"), _field("kilo"))
            loss, _ = objective(0, 0.5)
            loss.backward()
            parameters = list(objective.student.parameters())
            found.append([loss.detach(), *(p.grad for p in parameters)])
    for one, two in zip(*found, strict=True):
        assert one is not None and two is not None
        torch.testing.assert_close(one, two, rtol=1e-2, atol=1e-4)


def test_every_pair_is_in_the_matrix() -> None:
    assert len(list(itertools.permutations(KINDS, 2))) == 156

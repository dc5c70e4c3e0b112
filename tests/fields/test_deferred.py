"""Deferred shading: what is composited is shaded once a ray, wherever rays are rendered."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from polyfield.encodings.domain import Box
from polyfield.fields.baked import BakedField
from polyfield.fields.deferred import Deferred, DeferredShading, waves
from polyfield.fields.kernels import mlp
from polyfield.fields.voxels import Voxels
from polyfield.renderers import renderer as module
from polyfield.renderers.model_files import load_model, save_model
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.renderers.seen_field import SeenField
from polyfield.renderers.volume import points, rendered
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.rays import Rays
from polyfield.training.distillation.heads import WithHeads
from polyfield.training.distillation.points import PointLoss
from polyfield.training.distillation.pvd import PoseDistillation

BOX = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
VIEWS = [Camera(look_at(1.3 * i, 0.2, 3.0), 20, 20, 26.0, 26.0, 10.0, 10.0) for i in range(3)]


def some_model() -> RadianceModel:
    """Random clouds, thin and thick, with a network that adds a lot."""
    torch.manual_seed(0)
    info = SceneInfo(BOX, False, "srgb", (0.2, 0.5, 0.9))
    model = RadianceModel(Deferred(4, 4), OccupancyGrid(resolution=8, steps=96), info)
    with torch.no_grad():
        model.field.table.uniform_(0.2, 0.8)  # type: ignore[operator, union-attr]
        model.field.shading.network.weights.normal_(0, 0.4)  # type: ignore[operator, union-attr]
    model.renderer.sampler.adopt(torch.ones(8, 8, 8))
    return model.eval()


def rays() -> Rays:
    return Cameras.stack(VIEWS).view(0).flatten()


def by_hand(field: BakedField, sample: object, weight: Tensor, way: Tensor) -> Tensor:
    """A ray's colour by the definition, in float64."""
    values = sample.deferred.double()  # type: ignore[attr-defined]
    seen, opacity = (weight[:, None] * values).sum(0), weight.sum()
    h = torch.cat([seen / opacity.clamp(min=1e-3), waves(way[None].double())[0]])
    network = field.shading.network
    assert isinstance(field.shading, DeferredShading)
    stack = mlp.layers(network.weights.double(), network.widths, True)  # type: ignore[union-attr, arg-type]
    for number, (matrix, bias) in enumerate(stack):
        h = matrix @ h + bias
        h = h if number == 2 else h.clamp(min=0)
    return seen[:3] + opacity * torch.sigmoid(h)


def test_a_ray_is_shaded_once_by_what_its_samples_add_up_to() -> None:
    model = some_model()
    field, way = model.field, rays()[slice(205, 215)]
    assert isinstance(field, BakedField) and field.shades_rays
    with torch.no_grad():
        intervals = model.renderer.sampler(way, None)
        sample = field(*points(way, intervals))
        found = rendered(field, sample, intervals, way)
        for ray in range(10):
            part = slice(int(intervals.offsets[ray]), int(intervals.offsets[ray + 1]))
            thickness = sample.density[part].double() * intervals.length[part]
            before = torch.exp(-(thickness.cumsum(0) - thickness))
            weight = before * -torch.expm1(-thickness)
            one = type(sample)(*(t[part] for t in (sample.density, sample.rgb, sample.log_density)),
                               deferred=sample.deferred[part])  # fmt: skip
            wanted = by_hand(field, one, weight, way.directions[ray])
            torch.testing.assert_close(found.color[ray].double(), wanted, rtol=1e-4, atol=1e-5)
    assert float((found.color - found.color.mean(0)).abs().max()) > 0.02


def test_images_are_drawn_in_rounds_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUND", 1)  # four samples of a ray at a time
    model, all_rays = some_model(), rays()
    found = model.renderer.picture(model.field, all_rays)
    with torch.no_grad():
        begin = torch.full_like(all_rays.near, -torch.inf)
        intervals = model.renderer.sampler.next_intervals(
            all_rays, begin, 1000, model.field.density
        )
        sample = model.field(*points(all_rays, intervals))
        wanted = rendered(model.field, sample, intervals, all_rays)
    # What is left of the light at the end of a ray, 1e-3, isn't followed.
    for name in ("color", "opacity", "depth"):
        error = (getattr(found, name) - getattr(wanted, name)).abs()
        assert float(error.mean()) < 1e-3 and float(error.max()) < 0.02, name
    # Shading every round by itself would be far off.
    assert float((wanted.color - sample.rgb.mean(0)).abs().mean()) > 0.05


def test_a_ray_through_nothing_shows_what_is_behind_it() -> None:
    model = some_model()
    model.renderer.sampler.adopt(torch.zeros(8, 8, 8))
    color = model.render(VIEWS[0]).color
    torch.testing.assert_close(color, torch.tensor([0.2, 0.5, 0.9]).expand(20, 20, 3))


def test_a_point_alone_looks_as_a_ray_that_meets_nothing_else() -> None:
    field = some_model().field
    x, way = torch.rand(50, 3) - 0.5, torch.nn.functional.normalize(torch.randn(50, 3), dim=1)
    with torch.no_grad():
        sample = field(x, way)
        wanted = field.shade(sample.composited, torch.ones(50), way)
    assert sample.deferred.shape == (50, 7)
    torch.testing.assert_close(sample.rgb, wanted.clamp(max=1))


def test_a_file_holds_the_network(tmp_path: Path) -> None:
    model = some_model()
    save_model(tmp_path / "model.safetensors", model)
    again = load_model(tmp_path / "model.safetensors")
    assert torch.equal(again.render(VIEWS[0]).color, model.render(VIEWS[0]).color)


def test_wrapped_fields_shade_as_the_field_itself() -> None:
    field = some_model().field
    seen, opacity, way = torch.rand(9, 7), torch.rand(9), rays().directions[:9]
    wanted = field.shade(seen, opacity, way)
    for wrapped in (SeenField(field, lambda x: x[:, 0] > 0), WithHeads(field)):
        assert wrapped.shades_rays
        assert torch.equal(wrapped.shade(seen, opacity, way), wanted)


@pytest.mark.parametrize("student_shades", [False, True])
@pytest.mark.parametrize("teacher_shades", [False, True])
def test_distillation_compares_shaded_rays(student_shades: bool, teacher_shades: bool) -> None:
    """Of a field and itself the difference is zero; of two, both its kinds of parameter learn."""
    deferred, plain = some_model(), Voxels(cells=8, levels=1, density=3.0).build(Box(BOX))
    teacher = deferred.field if teacher_shades else plain
    student = deferred.field if student_shades else plain
    loss = PointLoss("mse", stages=(0.0, 0.0), feature=0.0, density=0.0, color=0.0)
    objective = PoseDistillation(loss, samples=2048).build(
        teacher, student, deferred.renderer.sampler, Cameras.stack(VIEWS), 0
    )
    value, numbers = objective(0, 1.0)
    assert (float(value.detach()) < 1e-12) == (student is teacher), float(value.detach())
    if student is not teacher:
        value.backward()
        for name, parameter in student.named_parameters():
            assert parameter.grad is not None and float(parameter.grad.abs().max()) > 0, name
    if student_shades or teacher_shades:
        assert objective.all_samples  # samples of such fields don't mix


def test_the_closed_form_comes_near_to_a_teacher_without_directions() -> None:
    """With diffuse colours alone the network has next to nothing to add."""
    torch.manual_seed(0)
    teacher = Voxels(cells=6, levels=1, density=3.0, bands=1).build(Box(BOX))
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    field = Deferred(6, 4).build(Box(BOX))
    field.bake(teacher, lambda x: torch.ones(len(x), dtype=torch.bool))
    x, way = (
        torch.rand(500, 3) * 1.8 - 0.9,
        torch.nn.functional.normalize(torch.randn(500, 3), dim=1),
    )
    with torch.no_grad():
        error = (field(x, way).rgb - teacher(x, way).rgb).abs()
    assert float(error.mean()) < 0.03

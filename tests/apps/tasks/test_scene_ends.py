"""What a fit of a scene ends with: a last look of its occupancy grid, but not after fine-tuning."""

import copy

import pytest
import torch

import polyfield
from polyfield.apps.tasks.scene import Scene
from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.radiance import Radiance
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.scenes.base import ReadOptions
from polyfield.training.distillation.methods import KiloNerf, Pvd
from polyfield.training.loop import Fit, FitConfig
from polyfield.training.objectives.photometric import Photometric
from polyfield.training.run import Run, load
from polyfield.training.task import Teacher, Training

TASK = Scene(
    Radiance(HashGrid(levels=2, features=2, log2_size=8, base_resolution=4, finest_resolution=8)),
    OccupancyGrid(resolution=8, steps=24, every=1, sweep=20),
    Photometric(samples=128),
    FitConfig(steps=3),
    ReadOptions(downscale=10),
)


def _run(training: Training) -> None:
    Fit(training.field, training.objective, training.fit, training.parts, training.finish).run()


def _grid(model: RadianceModel) -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in model.renderer.sampler.state_dict().items()}


def _same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_training_ends_with_a_look_at_everything() -> None:
    torch.manual_seed(0)
    data = TASK.open("demo")
    model = TASK.model(data)
    training = TASK.training(model, data, 0)
    loop = Fit(training.field, training.objective, training.fit)
    loop.run()
    assert model.renderer.sampler.value.isinf().any(), "not all was looked at while training"
    settled = copy.deepcopy(model)
    settled.renderer.sampler.settle(settled.field.density)
    training.finish()
    assert model.renderer.sampler.value.isfinite().all()
    assert _same(_grid(model), _grid(settled))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    path = tmp_path_factory.mktemp("teacher") / "run"
    polyfield.fit("scene", "demo", task=TASK, steps=3, out=path, device="cpu")
    model = load(path).eval()
    model.requires_grad_(False)
    return Teacher(Run(path), model)


@pytest.mark.parametrize("method", [Pvd(), KiloNerf(inherit=False)])
def test_fine_tuning_leaves_the_grid_as_it_is(teacher: Teacher, method: Pvd | KiloNerf) -> None:
    """It is the teacher's, or told by it: images know no better."""
    torch.manual_seed(0)
    student = TASK.student(teacher, method)
    before = _grid(student)
    images = TASK.open("demo")
    training = TASK.lesson(student, teacher, method, 0, images)
    _run(training)
    assert _same(_grid(student), before)

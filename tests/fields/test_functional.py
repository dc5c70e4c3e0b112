"""F-INR: contractions against brute force, and what only this field can do."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.encodings.domain import Box, domain
from polyfield.encodings.frequency import Frequency
from polyfield.encodings.identity import Identity
from polyfield.errors import InputError
from polyfield.fields.contractions import CanonicalPolyadic, Train, Tucker
from polyfield.fields.functional import Form, Functional, FunctionalField
from polyfield.fields.networks.mlp import Perceptron
from polyfield.fields.networks.relu import Relu
from polyfield.fields.networks.siren import Siren
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.signals.image import ImageFile
from polyfield.training.loop import FitConfig, fit
from polyfield.training.objectives.regression import Regression

FORMS: tuple[Form, ...] = ("cp", "tt", "tucker")
R, C = 4, 3


def _box(*sizes: float) -> Box:
    return Box(torch.tensor([[0.0] * len(sizes), list(sizes)]))


def _small(form: Form, dim: int = 2, rank: int = R) -> FunctionalField:
    torch.manual_seed(0)
    config = Functional(form, rank, Frequency(3), Relu(16, 1))
    return config.build(_box(*(8.0, 6.0, 5.0)[:dim]), C)


def _factors(contraction: Any, *counts: int) -> list[Tensor]:
    return [
        torch.randn(n, size, dtype=torch.float64)
        for n, size in zip(counts, contraction.sizes, strict=True)
    ]


def test_cp_by_brute_force() -> None:
    torch.manual_seed(0)
    contraction = CanonicalPolyadic(3, R, C)
    a, b, c = _factors(contraction, 5, 4, 2)
    found = contraction.on_grid([a, b, c])
    assert found.shape == (5, 4, 2, C)
    for i, j, k, color in itertools.product(range(5), range(4), range(2), range(C)):
        terms = [a[i, r * C + color] * b[j, r * C + color] * c[k, r * C + color] for r in range(R)]
        torch.testing.assert_close(found[i, j, k, color], torch.stack(terms).sum())


def test_train_by_brute_force() -> None:
    torch.manual_seed(0)
    contraction = Train(3, R, C).double()
    a, b, c = _factors(contraction, 5, 4, 2)
    found = contraction.on_grid([a, b, c])
    for i, j, k in itertools.product(range(5), range(4), range(2)):
        row = a[i][None] @ b[j].view(R, R) @ c[k].view(R, R) @ contraction.color
        torch.testing.assert_close(found[i, j, k], row[0])


def test_tucker_by_brute_force() -> None:
    torch.manual_seed(0)
    contraction = Tucker(2, R, C).double()
    a, b = _factors(contraction, 5, 4)
    found = contraction.on_grid([a, b])
    core, color = contraction.core, contraction.color
    assert core.shape == (R, R, C) and color.shape == (C, C)
    for i, j, channel in itertools.product(range(5), range(4), range(C)):
        value = sum(
            core[p, q, k] * a[i, p] * b[j, q] * color[k, channel]
            for p, q, k in itertools.product(range(R), range(R), range(C))
        )
        torch.testing.assert_close(found[i, j, channel], value)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_scattered_points_and_a_grid_agree(form: Form, dim: int) -> None:
    field = _small(form, dim)
    axes = [torch.linspace(0.5, 4.5, n) for n in (5, 3, 4)[:dim]]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    found = field.on_grid(axes)
    assert found.shape == points.shape[:-1] + (C,)
    torch.testing.assert_close(found, field(points), rtol=1e-4, atol=1e-6)
    one = field(points[(1,) * dim])
    torch.testing.assert_close(one, found[(1,) * dim], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [CanonicalPolyadic, Train, Tucker])
def test_the_order_of_axes(kind: Any) -> None:
    """Exchange two factors: nothing changes for CP, a train is a chain."""
    torch.manual_seed(0)
    contraction = kind(3, R, C).double()
    a, b, c = _factors(contraction, 6, 6, 6)
    same = torch.allclose(contraction.at([a, b, c]), contraction.at([a, c, b]))
    assert same == (kind is CanonicalPolyadic)


def test_axes_of_a_train_differ_in_size() -> None:
    assert Train(3, R, C).sizes == [R, R * R, R * R]
    assert Tucker(3, R, C).sizes == [R, R, R]
    assert CanonicalPolyadic(3, R, C).sizes == [R * C] * 3


@pytest.mark.parametrize("form", FORMS)
def test_the_rank_bounds_the_picture(form: Form) -> None:
    """Each channel of an image is a matrix of at most that rank (of R for a train, too)."""
    field = _small(form, rank=3)
    with torch.no_grad():
        values = field.on_grid([torch.linspace(0, 8, 20), torch.linspace(0, 6, 15)])
    spectrum = torch.linalg.svdvals(values.double().movedim(-1, 0))
    assert (spectrum[:, 2] > 1e-4 * spectrum[:, 0]).all()
    assert (spectrum[:, 3] < 1e-5 * spectrum[:, 0]).all()


@pytest.mark.parametrize("network", [Relu(), Siren(), Perceptron()], ids=lambda c: type(c).__name__)
@pytest.mark.parametrize("rank", [2, 64])
@pytest.mark.parametrize("form", FORMS)
def test_products_do_not_vanish(form: Form, rank: int, network: Any) -> None:
    torch.manual_seed(0)
    field = Functional(form, rank, network=network).build(_box(1.0, 1.0), C)
    with torch.no_grad():
        values = field.on_grid([torch.linspace(0, 1, 50)] * 2)
    assert 1 / 64 < values.square().mean().sqrt() < 1 / 4


@pytest.mark.parametrize("form", FORMS)
def test_few_evaluations_on_a_grid(form: Form) -> None:
    """A 512 x 512 image: 1024 points go through the networks instead of 262144."""
    field = _small(form)
    seen = []
    for network in field.networks:
        network.register_forward_hook(lambda module, given, result: seen.append(len(given[0])))
    with torch.no_grad():
        assert field.on_grid([torch.linspace(0, 8, 512)] * 2).shape == (512, 512, C)
    assert seen == [512, 512]


def _objective(field: FunctionalField, picture: Any, batch: int) -> Any:
    return Regression(batch=batch).build(picture, field, seed=0)


def test_a_step_on_the_whole_picture_takes_the_grid() -> None:
    """The loss is that of scattered pixels; transposes would show, the image is no square."""
    generator = torch.Generator().manual_seed(1)
    array = torch.rand(6, 8, 3, generator=generator).numpy()
    picture = ImageFile().build(array, ReadOptions())
    field = _small("cp")
    whole, numbers = _objective(field, picture, 0)(0, 0.0)
    x, values = picture.all()
    torch.testing.assert_close(whole, (field(x) - values).square().mean())
    assert numbers["samples"] == 48
    assert _objective(field, picture, 0).axes is not None
    assert _objective(field, picture, 47).axes is None
    some = torch.arange(0, 48, 5)
    kept = Regression(batch=0).build(picture, field, seed=0, kept=some)
    assert kept.axes is not None
    loss, numbers = kept(0, 0.0)
    torch.testing.assert_close(loss, (field(x[some]) - values[some]).square().mean())
    assert numbers["samples"] == len(some)


def test_cp_reaches_a_picture_of_its_rank() -> None:
    """An image of rank 3 by a field of rank 4: more than 60 dB."""
    x, y = torch.linspace(0, 1, 24), torch.linspace(0, 1, 20)
    array = torch.zeros(20, 24, 1)
    for k in range(3):
        array[..., 0] += ((3 * k + 2) * y).sin()[:, None] * ((4 * k + 1) * x).cos() / 3
    picture = ImageFile().build(array.numpy(), ReadOptions())
    torch.manual_seed(0)
    config = Functional("cp", 4, Identity(centered=True), Siren(64, 2, 10.0, 10.0))
    field = config.build(Box(picture.bounds), 1)
    rates = {"network": 3e-3}
    fit(field, _objective(field, picture, 0), FitConfig(steps=600, rates=rates, final=0.003))
    with torch.no_grad():
        error = (field(picture.all()[0]) - picture.all()[1]).square().mean()
    assert -10 * error.log10() > 60


def test_impossible_fields() -> None:
    with pytest.raises(InputError, match="rank"):
        Functional(rank=0).build(_box(1.0, 1.0), 3)
    with pytest.raises(InputError, match="box"):
        Functional().build(domain(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), True), 3)

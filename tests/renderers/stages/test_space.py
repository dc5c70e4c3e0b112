"""A radiance field in the viewer: what a box cuts away; the rest is what `render` draws."""

import pytest
import torch

from polyfield.fields.voxels import Voxels
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.renderers.samplers import Uniform
from polyfield.renderers.stages.base import Look
from polyfield.renderers.stages.space import Space, _from_outside, clipped
from polyfield.scenes.similarity import Similarity

BOX = torch.tensor([[10.0, 20.0, 30.0], [14.0, 24.0, 34.0]])
FRAME = Similarity.of_box(BOX)
BIG = torch.tensor([[-1.0] * 3, [1.0] * 3], dtype=torch.float64)


@pytest.fixture(scope="module")
def model() -> RadianceModel:
    torch.manual_seed(0)
    bounds = FRAME.normalised(BOX).float()
    info = SceneInfo(bounds, False, "srgb", (0.2, 0.4, 0.6), FRAME)
    found = RadianceModel(Voxels(cells=4), Uniform(64), info)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(torch.rand_like(parameter))
    return found


def _seen(space: Space, look: Look) -> torch.Tensor:
    camera = space.start.resized(24, 18)
    return torch.cat(list(space.values(camera, look, 100)))


def test_colours_are_renders(model: RadianceModel) -> None:
    space = Space(model)
    wanted = model.render(space.start.resized(24, 18))
    assert torch.allclose(_seen(space, Look("color")), wanted.color.reshape(-1, 3), atol=1e-4)
    depth = _seen(space, Look("depth"))
    assert torch.allclose(depth[:, 0], wanted.depth.reshape(-1), rtol=1e-3, atol=1e-3)
    assert torch.allclose(depth[:, 1], wanted.opacity.reshape(-1), atol=1e-4)
    assert wanted.opacity.max() > 0.1  # there is something


def test_a_box_cuts_what_is_outside(model: RadianceModel) -> None:
    space, whole = Space(model), _seen(Space(model), Look("opacity"))
    low, high = BOX.tolist()
    everything = _seen(space, Look("opacity", (tuple(low), tuple(high))))
    assert torch.allclose(everything, whole, atol=1e-3)
    half = _seen(space, Look("opacity", (tuple(low), (12.0, high[1], high[2]))))
    assert (half <= whole + 1e-3).all() and half.sum() < 0.9 * whole.sum() and half.max() > 0.1
    beside = _seen(space, Look("opacity", ((50.0, 50.0, 50.0), (51.0, 51.0, 51.0))))
    assert not beside.any()


def test_clipped_rays_by_brute_force() -> None:
    space_box = torch.tensor([[-0.5, -0.4, -0.3], [0.5, 0.4, 0.3]])
    info = SceneInfo(BIG.float(), False, "srgb", (0.0, 0.0, 0.0))
    camera = _from_outside(BIG).resized(12, 9)
    rays = RadianceModel(Voxels(cells=4), Uniform(4), info).rays(camera).flatten()
    cut = clipped(rays, space_box)
    t = torch.linspace(0, 8, 4001)[:, None]
    x = rays.origins + t[..., None] * rays.directions
    inside = ((x > space_box[0]) & (x < space_box[1])).all(-1)
    kept = (t > cut.near) & (t < cut.far)
    # They may differ at the two points where a ray goes in and out.
    assert ((inside != kept).sum(0) <= 2).all() and inside.any()


def test_images(model: RadianceModel) -> None:
    space = Space(model)
    for what in space.shows:
        look = Look(what)
        image = space.image(_seen(space, look).reshape(18, 24, -1), look)
        assert image.shape == (18, 24, 3) and image.dtype.name == "uint8"

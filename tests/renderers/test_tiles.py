"""Rays drawn part by part: nothing is drawn that isn't asked for, and the parts make the whole."""

import torch

from polyfield.renderers.tiles import joined, tiles, view_tiles
from polyfield.renderers.volume import RenderOutput
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.rays import Rays
from polyfield.scenes.similarity import Similarity

RAYS = Camera(torch.eye(4), 7, 5, 6.0, 6.0, 3.5, 2.5).rays()


def test_parts_make_the_whole() -> None:
    def draw(rays: Rays) -> RenderOutput:
        assert not torch.is_grad_enabled()
        return RenderOutput(rays.directions, rays.directions[:, 0], rays.directions[:, 2])

    for size in (1, 4, 35, 100):
        whole = joined(tiles(draw, RAYS, size), RAYS.shape)
        assert torch.equal(whole.color, RAYS.directions)
        assert torch.equal(whole.opacity, RAYS.directions[..., 0])
    assert torch.is_grad_enabled()


def test_what_is_not_asked_for_is_not_drawn() -> None:
    sizes: list[int] = []
    parts = tiles(lambda rays: sizes.append(len(rays)), RAYS, 10)
    assert sizes == []
    next(parts)
    assert sizes == [10] and torch.is_grad_enabled()
    parts.close()
    assert sizes == [10]
    assert len(list(tiles(len, RAYS, 10))) == 4


def test_rays_of_a_view_are_made_part_by_part() -> None:
    frame = Similarity((1.0, 2.0, 3.0), 0.5)
    cameras = Cameras.stack([Camera(torch.eye(4), 7, 5, 6.0, 5.0, 3.0, 2.5)], frame=frame)
    whole, sizes = cameras.view(0), []
    parts = view_tiles(lambda rays: (sizes.append(len(rays)), rays)[1], cameras, 10)
    assert sizes == []
    found = [next(parts)]
    assert sizes == [10] and torch.is_grad_enabled()
    found += list(parts)
    assert sizes == [10, 10, 10, 5]
    for name in ("origins", "directions"):
        joint = torch.cat([getattr(rays, name) for rays in found])
        assert torch.equal(joint, getattr(whole, name).reshape(-1, 3))

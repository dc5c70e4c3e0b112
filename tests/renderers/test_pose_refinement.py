"""Cameras that move a little."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from polyfield.renderers.pose_refinement import PoseRefinement, rotated
from polyfield.scenes.rays import Rays

NUMBER = st.floats(-3, 3, allow_nan=False, width=32)
VECTOR = st.tuples(NUMBER, NUMBER, NUMBER)


@given(VECTOR, VECTOR)
def test_a_turn_is_the_exponential_of_its_matrix(v: tuple, turn: tuple) -> None:
    a, b, c = turn
    cross = torch.tensor([[0, -c, b], [c, 0, -a], [-b, a, 0]], dtype=torch.float64)
    v, turn = (torch.tensor(t, dtype=torch.float64) for t in (v, turn))
    wanted = torch.linalg.matrix_exp(cross) @ v
    torch.testing.assert_close(rotated(v, turn), wanted, atol=1e-7, rtol=1e-7)


def test_gradients_of_a_turn_are_right_at_zero_too() -> None:
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(4, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    turn = torch.randn(4, 3, dtype=torch.float64, generator=generator)
    turn[0], turn[1] = 0, turn[1] * 1e-5
    assert gradcheck(rotated, (v, turn.requires_grad_()), eps=1e-5, atol=1e-4)


def _rays(n: int) -> Rays:
    generator = torch.Generator().manual_seed(1)
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    near = torch.zeros(n)
    return Rays(torch.randn(n, 3, generator=generator), directions, near, near + 9, torch.arange(n))


def test_a_camera_moves_as_its_rays_do() -> None:
    """The pose that is written is that of the rays that were trained on."""
    poses = PoseRefinement().build(3, 2.0)
    with torch.no_grad():
        poses.motion.copy_(torch.randn(3, 6, generator=torch.Generator().manual_seed(2)))
    given = torch.eye(4).repeat(3, 1, 1)
    given[:, :3, 3] = torch.randn(3, 3, generator=torch.Generator().manual_seed(3))
    moved = poses.poses(given)
    gram = moved[:, :3, :3] @ moved[:, :3, :3].transpose(1, 2)
    torch.testing.assert_close(gram, torch.eye(3).repeat(3, 1, 1), atol=1e-5, rtol=0)
    rays = _rays(3)
    rays.origins = given[:, :3, 3]
    local = torch.einsum("nji,nj->ni", given[:, :3, :3], rays.directions)
    after = poses(rays)
    wanted = torch.einsum("nij,nj->ni", moved[:, :3, :3], local)
    torch.testing.assert_close(after.directions, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after.origins, moved[:, :3, 3], atol=1e-5, rtol=1e-5)


def test_a_motion_common_to_all_is_none() -> None:
    """Held-out views stay where they are."""
    poses = PoseRefinement().build(3, 2.0)
    with torch.no_grad():
        poses.motion += torch.tensor([0.1, 0.2, -0.1, 0.3, 0.0, math.pi])
    rays = _rays(3)
    after = poses(rays)
    torch.testing.assert_close(after.origins, rays.origins, atol=1e-6, rtol=0)
    torch.testing.assert_close(after.directions, rays.directions, atol=1e-6, rtol=0)


def test_a_growth_common_to_all_is_none() -> None:
    """Held-out views see the scene as large as it was; what else cameras do is left."""
    given = torch.eye(4).repeat(5, 1, 1)
    given[:, :3, 3] = 40 * torch.randn(5, 3, generator=torch.Generator().manual_seed(4)) + 7
    about = given[:, :3, 3] - given[:, :3, 3].mean(0)
    poses = PoseRefinement().build(5, 2.0)
    poses.stand_at(given[:, :3, 3])
    with torch.no_grad():
        poses.motion[:, 3:] += 0.01 * about
    torch.testing.assert_close(poses.poses(given), given, atol=1e-4, rtol=0)
    with torch.no_grad():
        poses.motion[0, 3:] += 1
    moved = poses.poses(given)[:, :3, 3] - given[:, :3, 3]
    assert float(moved[0].norm()) > 1 and abs(float((moved * about).sum())) < 1e-2
    assert float(moved.mean(0).norm()) < 1e-5

"""Cameras that move a little."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from polyfield.renderers.pose_refinement import PoseRefinement, RefinedPoses, rotated
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.demo.capture import look_at
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


BOX = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def _standing(count: int = 9) -> tuple[Cameras, RefinedPoses]:
    """Cameras around a box, and their motions."""
    ring = [look_at(2.4 * i, 0.1 + 0.1 * i, 4.0) for i in range(count)]
    cameras = Cameras.stack([Camera(pose, 40, 30, 50.0, 50.0, 20.0, 15.0) for pose in ring])
    poses = PoseRefinement().build(count, 2.0)
    poses.stand_at(cameras, BOX)
    return cameras, poses


def _learned(poses: RefinedPoses, motions: Tensor) -> None:
    """Learn turns and shifts [n, 6]."""
    with torch.no_grad():
        poses.motion.copy_(torch.linalg.solve(poses.mixture, motions[:, :, None])[:, :, 0])


@given(st.lists(st.floats(-1e-3, 1e-3), min_size=7, max_size=7))
def test_a_motion_of_the_whole_scene_is_none(numbers: list[float]) -> None:
    """A turn, a shift, a growth of all cameras: held-out views stay where they are."""
    cameras, poses = _standing()
    turn, shift, growth = torch.tensor(numbers).split((3, 3, 1))
    about = cameras.poses[:, :3, 3] / poses.length
    moved = torch.linalg.cross(turn.expand_as(about), about) + shift + growth * about
    _learned(poses, torch.cat([turn.expand_as(about), moved], 1))
    torch.testing.assert_close(poses.poses(cameras.poses), cameras.poses, atol=2e-5, rtol=0)


def test_what_is_not_common_is_left() -> None:
    """And what is left has nothing in common any more."""
    cameras, poses = _standing()
    motions = torch.zeros(9, 6)
    motions[2] = torch.tensor([0.01, 0.02, -0.01, 0.02, 0.0, 0.01])
    _learned(poses, motions)
    left = torch.cat(poses.motions(), 1).detach() / torch.tensor([1.0, 1, 1, 2, 2, 2])
    assert float((left[2] - motions[2]).norm()) < 0.3 * float(motions[2].norm())
    assert float((poses.share * left).sum((1, 2)).abs().max()) < 1e-6


def test_what_is_learned_is_told_apart_by_what_is_seen() -> None:
    """The singular values of image motion by the six numbers are alike; as they are they aren't."""
    cameras, poses = _standing(1)
    axis = torch.linspace(-0.8, 0.8, 9)
    points = torch.cartesian_prod(axis, axis, axis)
    poses.share.zero_()
    spreads = []
    for mixture in (poses.mixture.clone(), torch.eye(6)[None]):
        poses.mixture.copy_(mixture)
        moves = []
        for number in range(6):
            with torch.no_grad():
                poses.motion.zero_()
                poses.motion[0, number] = 1e-2
            seen = [_directions(points, p) for p in (cameras.poses, poses.poses(cameras.poses))]
            moves.append((seen[1] - seen[0]).reshape(-1) / 1e-2 / len(points) ** 0.5)
        values = torch.linalg.svdvals(torch.stack(moves))
        spreads.append(float(values.max() / values.min()))
    assert spreads[0] < 4 and spreads[1] > 3 * spreads[0], spreads


def _directions(points: Tensor, pose: Tensor) -> Tensor:
    """Of points, in the camera's axes."""
    local = (points - pose[0, :3, 3]) @ pose[0, :3, :3]
    return torch.nn.functional.normalize(local, dim=1)

"""Terms against floaters, against their definitions."""

import torch
from torch.autograd import gradcheck

from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels.composite import weights
from polyfield.training.objectives.floaters import distortion, near_cameras

LENGTH = 2.0


def _samples(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, Intervals]:
    """Three rays of 5, 0 and 3 samples."""
    generator = torch.Generator().manual_seed(0)
    gaps = torch.rand(8, generator=generator, dtype=dtype) + 0.05
    start = torch.cat([gaps[:5].cumsum(0), gaps[5:].cumsum(0)])
    end = start + 0.05
    offsets = torch.tensor([0, 5, 5, 8])
    return torch.rand(8, generator=generator, dtype=dtype) * 20, Intervals(offsets, start, end)


def test_distortion_is_the_sum_over_pairs() -> None:
    density, intervals = _samples()
    weight, _ = weights(density, intervals.length, intervals.offsets)
    near, far = (t / (t + LENGTH) for t in (intervals.start, intervals.end))
    middle, total = (near + far) / 2, torch.zeros(3, dtype=torch.float64)
    for i in range(8):
        for j in range(8):
            if intervals.ray[i] == intervals.ray[j]:
                gap = (middle[i] - middle[j]).abs() if i != j else (far[i] - near[i]) / 3
                total[intervals.ray[i]] += weight[i] * weight[j] * gap
    torch.testing.assert_close(distortion(density, intervals, LENGTH), total.mean())


def test_distortion_has_the_right_gradient() -> None:
    density, intervals = _samples()
    assert gradcheck(lambda d: distortion(d, intervals, LENGTH), density.requires_grad_())


def test_one_thin_wall_is_not_distorted() -> None:
    density, intervals = _samples()
    wall = torch.zeros_like(density)
    wall[[2, 6]] = 1e3
    assert float(distortion(wall, intervals, LENGTH)) < 0.01
    assert float(distortion(density, intervals, LENGTH)) > 0.01


def test_no_samples_cost_nothing() -> None:
    empty = torch.zeros(0)
    intervals = Intervals(torch.tensor([0, 0]), empty, empty)
    assert float(distortion(empty, intervals, LENGTH)) == 0
    assert float(near_cameras(empty, intervals, 1.0)) == 0


def test_what_is_near_a_camera_counts_by_its_thickness() -> None:
    density, intervals = _samples()
    near = intervals.middle < 1.2
    assert 0 < int(near.sum()) < 8
    wanted = (density * intervals.length)[near].sum() / 3
    torch.testing.assert_close(near_cameras(density, intervals, 1.2), wanted)

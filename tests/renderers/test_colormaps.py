import torch

from polyfield.renderers import colormaps


def test_depth_is_bright_where_near_and_black_where_empty() -> None:
    depth = torch.tensor([[2.0, 3.0, 4.0, 0.0]])
    opacity = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    near, far = colormaps.depth_range(depth, opacity)
    assert 1.5 < near < 2.1 and 3.9 < far < 4.5
    found = colormaps.depth_picture(depth, opacity, near, far)
    assert float(found[0, 3].sum()) == 0
    assert not torch.allclose(found[0, 0], found[0, 2])
    assert colormaps.depth_range(depth, 0 * opacity) == (0.0, 1.0)

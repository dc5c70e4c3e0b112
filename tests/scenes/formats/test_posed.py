"""Posed images in memory: what is stored, what is drawn, and that both agree."""

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.formats.posed import PosedCapture, Views


def capture(pictures: list[np.ndarray]) -> PosedCapture:
    """A data set of one split from arrays."""
    cameras = [
        Camera(look_at(float(i), 0.3, 3.0), a.shape[1], a.shape[0], 9.0, 9.0, a.shape[1] / 2, 2.0)
        for i, a in enumerate(pictures)
    ]
    views = Views(
        Cameras.stack(cameras), tuple(f"v{i}" for i in range(len(pictures))), pictures.__getitem__
    )
    box = torch.tensor([[-1.0] * 3, [1.0] * 3])
    return PosedCapture("test", "here", box, False, "srgb", {"train": views})


def noise(height: int, width: int, channels: int, dtype: str = "uint8") -> np.ndarray:
    generator = np.random.default_rng(height * width * channels)
    if dtype.startswith("float"):
        return generator.random((height, width, channels)).astype(dtype)
    return generator.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sizes", [[(4, 6), (4, 6)], [(4, 6), (7, 3), (5, 5)]])
def test_drawn_rays_carry_the_colour_of_their_pixel(sizes):
    scene = capture([noise(*size, 4) for size in sizes]).scene("train")
    rays, rgba = scene.sample(500, generator())
    for i in range(len(scene)):
        grid, picture = scene.view(i)
        mine = rays.camera == i
        assert mine.any()
        # The pixel of a drawn ray is the one whose direction is the same.
        match = rays.directions[mine] @ grid.directions.reshape(-1, 3).T
        assert match.amax(1).min() > 1 - 1e-6
        found = picture.reshape(-1, 4)[match.argmax(1)]
        torch.testing.assert_close(rgba[mine], found)


@pytest.mark.parametrize("sizes", [[(2, 3), (2, 3)], [(2, 3), (4, 1), (1, 2)]])
def test_every_pixel_is_drawn_equally_often(sizes):
    pictures = [np.full((*size, 1), 0, np.uint8) for size in sizes]
    total = 0
    for picture in pictures:  # a different value in each pixel of the whole set
        picture.reshape(-1)[:] = total + np.arange(picture.size)
        total += picture.size
    scene = capture(pictures).scene("train")
    _, rgba = scene.sample(12000, generator())
    counts = torch.bincount((rgba[:, 0] * 255).round().long(), minlength=total)
    expected = 12000 / total
    assert len(counts) == total
    assert (counts - expected).abs().max() < 5 * expected**0.5


def test_the_same_generator_draws_the_same():
    scene = capture([noise(4, 6, 3)]).scene("train")
    first, again, other = (scene.sample(50, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first[1], again[1]) and torch.equal(first[0].directions, again[0].directions)
    assert not torch.equal(first[1], other[1])


def test_an_empty_draw():
    rays, rgba = capture([noise(4, 6, 3)]).scene("train").sample(0, generator())
    assert len(rays) == 0 and rgba.shape == (0, 4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_type_of_pixel(dtype, channels):
    picture = noise(3, 5, channels, dtype)
    scene = capture([picture]).scene("train")
    rgba = scene.view(0)[1].numpy()
    top = 1.0 if dtype.startswith("float") else np.iinfo(dtype).max
    values = picture.astype(np.float64) / top
    if channels in (2, 4):
        np.testing.assert_allclose(rgba[..., 3], values[..., -1], atol=1e-6)
        if dtype.startswith("float"):  # EXR stores colours multiplied by alpha
            values[..., :-1] /= values[..., -1:]
    else:
        assert (rgba[..., 3] == 1).all()
    color = values[..., :1] if channels < 3 else values[..., :3]
    np.testing.assert_allclose(rgba[..., :3], np.broadcast_to(color, (3, 5, 3)), rtol=1e-5)
    assert scene.has_alpha == (channels in (2, 4))


def test_pixels_stay_in_their_stored_type():
    scene = capture([noise(8, 8, 3) for _ in range(4)]).scene("train")
    rows = scene._rows.between(0, 256)
    assert rows.dtype == torch.uint8 and rows.shape == (256, 4) and len(scene._rows) == 256


@pytest.mark.parametrize("order", [("uint8", "uint16"), ("uint16", "uint8")])
def test_depths_are_mixed_without_loss(order):
    pictures = [noise(3, 4, 3, dtype) for dtype in order]
    scene = capture(pictures).scene("train")
    for i, picture in enumerate(pictures):
        expected = picture / np.float64(np.iinfo(picture.dtype).max)
        np.testing.assert_allclose(scene.view(i)[1][..., :3].numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("order", [("uint8", "float32"), ("float32", "uint16")])
def test_floats_and_integers_are_not_mixed(order):
    with pytest.raises(InputError, match="floats only or of integers only"):
        capture([noise(3, 4, 3, dtype) for dtype in order]).scene("train")


def test_half_and_float_are_mixed():
    scene = capture([noise(3, 4, 3, "float16"), noise(3, 4, 3, "float32")]).scene("train")
    np.testing.assert_array_equal(scene.view(1)[1][..., :3], noise(3, 4, 3, "float32"))


def test_pixels_that_are_no_numbers():
    picture = noise(3, 4, 3, "float32")
    picture[1, 1, 1] = np.nan
    with pytest.raises(InputError, match="finite pixels in v0"):
        capture([picture]).scene("train")


def test_opaque_alpha_is_no_alpha():
    picture = noise(3, 4, 4)
    picture[..., 3] = 255
    assert not capture([picture]).scene("train").has_alpha


def test_a_split_without_views():
    with pytest.raises(InputError, match="zero views"):
        capture([]).scene("train")

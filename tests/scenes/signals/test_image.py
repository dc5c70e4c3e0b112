"""An image as a signal: coordinates, values, and what can't be one."""

import numpy as np
import pytest
import torch
from PIL import Image

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.demo.image import SIZE, demo_image
from polyfield.scenes.images import write_image
from polyfield.scenes.signals import image
from polyfield.scenes.signals.image import BRIGHTEST, ImageFile

OPTIONS = ReadOptions()


def build(source, **options):
    return ImageFile().build(source, ReadOptions(**options))


def ramp(dtype: str = "uint8", channels: int = 3) -> np.ndarray:
    """A 3x5 image with a different value everywhere."""
    return np.arange(15 * channels).reshape(3, 5, channels).astype(dtype)


def test_coordinates_are_pixel_centres_column_first():
    picture = build(ramp())
    assert (picture.height, picture.width, picture.channels) == (3, 5, 3)
    assert picture.bounds.tolist() == [[0, 0], [5, 3]]
    x, value = picture.all()
    assert x[0].tolist() == [0.5, 0.5] and x[1].tolist() == [1.5, 0.5]
    assert x[-1].tolist() == [4.5, 2.5]
    torch.testing.assert_close(value.view(3, 5, 3), torch.from_numpy(ramp() / 255).float())
    assert torch.equal(picture.coordinates(torch.tensor([[7]])), torch.tensor([[[2.5, 1.5]]]))


def test_drawn_values_are_those_of_their_pixels():
    picture = build(ramp())
    x, value = picture.sample(200, torch.Generator().manual_seed(0))
    column, row = x.long().unbind(1)
    assert torch.equal(x - x.floor(), torch.full_like(x, 0.5))
    assert torch.equal(value, picture.pixels[row, column])
    assert len(x.unique(dim=0)) == 15


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
def test_types_and_channels(tmp_path, dtype, channels):
    array = ramp(dtype, channels)
    file = tmp_path / ("a.exr" if dtype.startswith("float") else "a.png")
    write_image(file, array)
    picture = build(file)
    assert picture.name == "a" and picture.dtype == np.dtype(dtype)
    assert picture.channels == channels
    top = 1 if dtype.startswith("float") else np.iinfo(dtype).max
    np.testing.assert_allclose(picture.pixels.numpy(), array / np.float64(top), rtol=1e-6)
    assert picture.color_space == ("linear" if dtype.startswith("float") else "srgb")
    assert torch.equal(picture.pixels, build(array).pixels)


def test_light_may_exceed_one():
    assert build(ramp("float32")).pixels.max() == 44


def test_downscale():
    picture = build(ramp(), downscale=2)
    assert (picture.height, picture.width) == (1, 2) and picture.bounds[1].tolist() == [2, 1]
    with pytest.raises(InputError, match="smaller downscale"):
        build(ramp(), downscale=4)


def test_a_grey_array_without_channels():
    assert build(ramp(channels=1)[:, :, 0]).channels == 1


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 5), np.uint8), "1 to 4"),
        (np.zeros(4, np.uint8), "height, width"),
        (np.zeros((0, 4, 3), np.uint8), "height, width"),
        (np.zeros((4, 4), np.int64), "int64"),
        (np.zeros((4, 4)), "float64"),
        (np.full((4, 4), np.nan, np.float32), "finite"),
    ],
)
def test_arrays_that_are_no_picture(array, message):
    with pytest.raises(InputError, match=message):
        build(array)


def light(value: float, alpha: float | None = None) -> np.ndarray:
    array = np.full((4, 4, 3 if alpha is None else 4), value, np.float32)
    if alpha is not None:
        array[..., 3] = alpha
    return array


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (light(np.inf), "finite"),
        (light(-np.inf), "finite"),
        (light(1e38), "at most 1e\\+12 .*got 1e\\+38"),
        (light(-1e38), "got -1e\\+38"),
        (light(-2), "above 0"),
        (light(0), "above 0"),
        (light(-2, 1), "above 0"),
    ],
)
def test_light_that_has_no_score(array, message):
    with pytest.raises(InputError, match=message):
        build(array)


def test_light_that_has_a_score():
    array = light(-1)
    array[0, 0] = 1e-30
    assert build(array).pixels.min() == -1
    assert build(light(BRIGHTEST)).pixels.max() == BRIGHTEST
    assert build(light(0, 0.5)).channels == 4  # the background shines through
    assert build(np.zeros((4, 4, 3), np.uint8)).pixels.max() == 0


def test_an_orientation_is_applied_and_said(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ramp()).save(tmp_path / "a.png", exif=exif)
    with pytest.warns(UserWarning, match=r"a\.png is turned as its EXIF orientation 6 says"):
        picture = build(tmp_path / "a.png")
    assert (picture.height, picture.width) == (5, 3)
    right = np.rot90(ramp(), -1) / np.float32(255)
    assert torch.equal(picture.pixels, torch.from_numpy(right.copy()))


def test_what_is_not_read_is_said(tmp_path):
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    with pytest.warns(UserWarning, match="the first is read"):
        build(tmp_path / "a.jpg")


def test_a_picture_larger_than_the_memory_names_a_downscale_that_fits(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", noise)
    monkeypatch.setattr(image, "free_memory", lambda: 50_000_000)
    monkeypatch.setattr("polyfield.memory.free_memory", lambda: 50_000_000)
    with pytest.raises(InputError, match="1000x1000 pixels .*115 MB needed.* --downscale 2$"):
        build(tmp_path / "a.png")
    assert build(tmp_path / "a.png", downscale=2).width == 500


def test_a_bomb_of_pixels_is_refused_from_its_header(tmp_path):
    # 144 million pixels in 20 kB, each of one bit.
    Image.new("1", (12_000, 12_000)).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < 100_000
    with pytest.raises(
        InputError, match="at most 1.07 GB of memory for the 17.6 kB of.* --downscale 4$"
    ):
        build(tmp_path / "a.png")


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.png"):
        build(tmp_path / "none.png")


def test_the_demo_picture():
    array = demo_image()
    assert array.shape == (SIZE, SIZE, 3) and array.dtype == np.uint8
    assert np.array_equal(array, demo_image())
    values = array.astype(float)
    steps = np.abs(np.diff(values, axis=1)).max(-1)
    assert steps.max() > 100 and np.median(steps) < 3  # sharp in places, smooth in most
    assert torch.equal(build("demo").pixels, torch.from_numpy(array / 255).float())


def test_real_pictures(data_dir):
    kodak = next(iter(sorted((data_dir / "image").rglob("*.png"))))
    assert {build(kodak).width, build(kodak).height} == {512, 768}
    albert = build(data_dir / "image" / "albert.exr")
    assert albert.channels == 4 and albert.dtype == np.float32 and albert.color_space == "linear"
    assert build(data_dir / "image" / "bmng_5400x2700.jpg", downscale=10).width == 540

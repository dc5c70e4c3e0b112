"""Sharpness, and the sharpest frame of each part of a video."""

import imageio_ffmpeg
import numpy as np
import pytest

from polyfield.errors import InputError
from polyfield.scenes.sfm.sharpness import grey, sharpness, shrunk
from polyfield.scenes.sfm.video import frames_in, sharpest_frames


def blurred(image, radius):
    values = image.astype(np.float32)
    for axis in (0, 1):
        values = np.mean([np.roll(values, k, axis) for k in range(-radius, radius + 1)], axis=0)
    return values


def noise(seed=0, shape=(72, 96)):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def test_blur_lowers_sharpness_and_brightness_does_not_change_it():
    image = noise()
    values = [sharpness(blurred(image, radius)) for radius in (0, 1, 2, 4)]
    assert values == sorted(values, reverse=True) and values[0] > 5 * values[2]
    assert sharpness(0.1 * image + 0.2) == pytest.approx(values[0], rel=1e-4)
    assert sharpness(np.full((9, 9), 0.3, np.float32)) == 0
    assert sharpness(np.zeros((2, 9), np.float32)) == 0


def test_grey_leaves_alpha_out_and_shrinking_is_a_mean():
    array = np.zeros((2, 2, 4), np.uint8)
    array[..., 1] = 255
    np.testing.assert_allclose(grey(array), 0.7152, atol=1e-6)
    assert grey(array[..., :2]).max() == 0
    image = noise(shape=(100, 60))
    small = shrunk(image, 25)
    assert small.shape == (25, 15)
    assert small[0, 0] == pytest.approx(image[:4, :4].mean(), rel=1e-5)


@pytest.fixture
def film(tmp_path):
    """24 frames of which numbers 2, 9, 13 and 22 are sharp."""
    path = tmp_path / "film.mp4"
    writer = imageio_ffmpeg.write_frames(str(path), (96, 80), fps=12, quality=9)
    writer.send(None)
    for number in range(24):
        image = noise(number, (80, 96))
        image = image if number in (2, 9, 13, 22) else blurred(image, 3)
        writer.send(np.repeat((image * 255).astype(np.uint8)[..., None], 3, axis=2).tobytes())
    writer.close()
    return path


def test_the_sharpest_frame_of_each_part_is_taken(film):
    seen = []
    found = list(sharpest_frames(film, 4, lambda done, total: seen.append((done, total))))
    assert [frame.number for frame in found] == [2, 9, 13, 22]
    assert found[0].pixels.shape == (80, 96, 3) and found[0].pixels.dtype == np.uint8
    assert seen[0] == (0, 24) and seen[-1] == (23, 24)


def test_a_short_film_gives_all_its_frames(film):
    assert frames_in(film) == 24
    assert [f.number for f in sharpest_frames(film, 500, lambda *_: None)] == list(range(24))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no film", "a video at"),
        (b"#EXTM3U\nhttp://example.invalid/a.ts\n", "a list of other files"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "a list of other files"),
    ],
)
def test_what_is_no_film_is_told(tmp_path, content, message):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(sharpest_frames(path, 4, lambda *_: None))
    with pytest.raises(InputError, match="no such file"):
        frames_in(tmp_path / "none.mp4")

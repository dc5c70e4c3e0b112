"""EXR files in the wild: windows, parts, channels; nothing is dropped without a word."""

import numpy as np
import OpenEXR
import pytest

from polyfield.errors import InputError
from polyfield.scenes.images import read_image, read_info, write_image

HEIGHT, WIDTH = 5, 7
RANDOM = np.random.default_rng(0)


def plane(dtype: str = "float32") -> np.ndarray:
    return RANDOM.random((HEIGHT, WIDTH)).astype(dtype)


def planes(names: str, dtype: str = "float32") -> dict[str, np.ndarray]:
    return {name: plane(dtype) for name in names.split()}


def header(**values: object) -> dict[str, object]:
    kind = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    return {**kind, **values}


def window(left: int, top: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    corners = ([left, top], [left + width - 1, top + height - 1])
    low, high = (np.array(corner, np.int32) for corner in corners)
    return low, high


def wrong(call, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_name_that_is_no_utf8(odd_folder):
    file = odd_folder / "a.exr"
    image = RANDOM.random((HEIGHT, WIDTH, 3), np.float32)
    write_image(file, image)
    assert read_info(file).width == WIDTH
    np.testing.assert_array_equal(read_image(file), image)


@pytest.mark.parametrize(("left", "top"), [(2, 1), (0, 0), (-3, 2), (6, -1), (-1, -1), (50, 50)])
def test_the_data_lies_in_the_display_window(tmp_path, left, top):
    file = tmp_path / "a.exr"
    values = planes("R G B A")
    head = header(dataWindow=window(left, top, WIDTH, HEIGHT), displayWindow=window(0, 0, 9, 8))
    OpenEXR.File(head, dict(values)).write(str(file))
    # By brute force: every pixel of the display window is looked up.
    right = np.zeros((8, 9, 4), np.float32)
    for y in range(8):
        for x in range(9):
            if 0 <= y - top < HEIGHT and 0 <= x - left < WIDTH:
                right[y, x] = [values[name][y - top, x - left] for name in "RGBA"]
    assert np.array_equal(read_image(file), right)
    info = read_info(file)
    assert (info.width, info.height, info.has_alpha) == (9, 8, True)
    inside = 0 <= left and left + WIDTH <= 9 and 0 <= top and top + HEIGHT <= 8
    assert any("display window" in note for note in info.notes) != inside


def test_a_display_window_need_not_begin_at_zero(tmp_path):
    values = planes("Y")
    head = header(dataWindow=window(10, 20, WIDTH, HEIGHT), displayWindow=window(9, 20, 9, 5))
    OpenEXR.File(head, dict(values)).write(str(tmp_path / "a.exr"))
    found = read_image(tmp_path / "a.exr")
    assert found.shape == (5, 9, 1) and np.array_equal(found[:, 1:8, 0], values["Y"])


def test_channels_beside_the_colours_are_named(tmp_path):
    values = planes("R G B depth.Z")
    values["id"] = RANDOM.integers(0, 9, (HEIGHT, WIDTH)).astype(np.uint32)
    OpenEXR.File(header(), dict(values)).write(str(tmp_path / "a.exr"))
    assert read_image(tmp_path / "a.exr").shape == (HEIGHT, WIDTH, 3)
    (note,) = read_info(tmp_path / "a.exr").notes
    assert "R G B are read, not depth.Z id" in note


def test_the_part_with_colours_is_read_and_the_others_are_named(tmp_path):
    depth = OpenEXR.Part(header(name="depth"), planes("Z"))
    beauty = OpenEXR.Part(header(name="beauty"), planes("R G B"))
    OpenEXR.File([depth, beauty]).write(str(tmp_path / "a.exr"))
    found = read_image(tmp_path / "a.exr")
    assert np.array_equal(found[..., 1], beauty.channels["G"].pixels)
    (note,) = read_info(tmp_path / "a.exr").notes
    assert "part beauty is read, not depth" in note


@pytest.mark.parametrize(
    ("names", "word"), [(("R G B", "R G B"), "2 parts with colours"), (("Z", "N"), "parts 0x, 1x")]
)
def test_several_parts_alike_are_refused(tmp_path, names, word):
    parts = [OpenEXR.Part(header(name=f"{i}x"), planes(n)) for i, n in enumerate(names)]
    OpenEXR.File(parts).write(str(tmp_path / "a.exr"))
    assert word in wrong(read_image, tmp_path / "a.exr")
    assert word in wrong(read_info, tmp_path / "a.exr")


@pytest.mark.parametrize(
    ("names", "word"),
    [
        ("Y RY BY", "luminance and chroma"),
        ("A.R A.G A.B", "single layer"),
        ("R G", "single layer"),
    ],
)
def test_channels_that_make_no_picture(tmp_path, names, word):
    OpenEXR.File(header(), planes(names)).write(str(tmp_path / "a.exr"))
    assert word in wrong(read_info, tmp_path / "a.exr")


def test_whole_numbers_are_refused(tmp_path):
    values = {n: RANDOM.integers(0, 2**31, (HEIGHT, WIDTH)).astype(np.uint32) for n in "RGB"}
    OpenEXR.File(header(), dict(values)).write(str(tmp_path / "a.exr"))
    assert "uint" in wrong(read_image, tmp_path / "a.exr")


def test_deep_pixels_are_refused(tmp_path):
    deep = np.empty((2, 3), dtype=object)
    for row in range(2):
        for column in range(3):
            deep[row, column] = np.arange(row + 1, dtype=np.float32)
    head = header(type=OpenEXR.deepscanline, compression=OpenEXR.ZIPS_COMPRESSION)
    OpenEXR.File(head, {"Z": deep}).write(str(tmp_path / "a.exr"))
    assert "deep" in wrong(read_info, tmp_path / "a.exr")


def test_tiles_and_mixed_types_are_read_whole(tmp_path):
    tiled = header(type=OpenEXR.tiledimage, tiles=OpenEXR.TileDescription())
    values = {"R": plane(), "G": plane(), "B": plane("float16")}
    OpenEXR.File(tiled, dict(values)).write(str(tmp_path / "a.exr"))
    found = read_image(tmp_path / "a.exr")
    assert found.dtype == np.float32
    for channel, name in enumerate("RGB"):
        assert np.array_equal(found[..., channel], values[name].astype(np.float32))


@pytest.mark.parametrize("kept", [0.02, 0.1, 0.3, 0.6, 0.9])
def test_a_file_cut_anywhere_is_one_line_and_prints_nothing(tmp_path, capfd, kept):
    file = tmp_path / "a.exr"
    OpenEXR.File(header(), {n: RANDOM.random((64, 64)).astype(np.float32) for n in "RGB"}).write(
        str(file)
    )
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    assert "a.exr" in wrong(read_image, file)
    assert capfd.readouterr() == ("", "")

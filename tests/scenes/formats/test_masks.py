"""Masks: pixels that are neither drawn nor seen, in both conventions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from polyfield.errors import InputError
from polyfield.scenes.background import estimate_background
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats.masks import KeptPixels
from polyfield.scenes.formats.transforms import Transforms
from polyfield.scenes.images import write_image


def build(folder, **options):
    return Transforms().open(folder.path, ReadOptions(**options))


def masked(folder, transforms, kept, count=4, value=255, **shared):
    """A capture with one mask for all its frames, white where `kept`."""
    content = transforms(count, **shared)
    write_image(folder.path / "mask.png", (kept * value).astype(np.uint8)[..., None])
    for frame in content["frames"]:
        frame["mask_path"] = "mask.png"
    folder.write("transforms.json", content)
    return content


LEFT = np.arange(6)[None] < np.array([3, 3, 2, 0])[:, None]


@given(
    st.lists(
        st.one_of(st.none(), arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 5)))),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_runs_are_the_kept_pixels_in_order(masks):
    sizes = [6 if mask is None else mask.size for mask in masks]
    first = torch.tensor([0, *np.cumsum(sizes).tolist()])
    flat = [np.ones(n, bool) if m is None else m.ravel() for m, n in zip(masks, sizes, strict=True)]
    wanted = torch.from_numpy(np.concatenate(flat))
    found = KeptPixels.of(masks, first)
    if bool(wanted.all()):
        assert found is None
        return
    assert found.total == int(wanted.sum())
    assert found.ignored.tolist() == [int((~f).sum()) for f in flat]
    assert torch.equal(found.pixels(torch.arange(found.total)), wanted.nonzero()[:, 0])
    for begin, end in zip(first.tolist(), first.tolist()[1:], strict=False):
        assert torch.equal(found.mask(begin, end), wanted[begin:end])


def test_ignored_pixels_are_never_drawn_and_the_others_equally_often(folder, transforms):
    content = masked(folder, transforms, LEFT)
    del content["frames"][2]["mask_path"]
    folder.write("transforms.json", content)
    scene = build(folder, test_every=0).scene("train")
    rays, _ = scene.sample(20000, torch.Generator().manual_seed(0))
    counts = torch.zeros(4, 4, 6)
    for i in range(4):
        mine = rays.directions[rays.camera == i] @ scene.view(i)[0].directions.reshape(-1, 3).T
        counts[i] = torch.bincount(mine.argmax(1), minlength=24).reshape(4, 6)
    kept = torch.from_numpy(np.stack([LEFT, LEFT, np.ones_like(LEFT), LEFT]))
    assert not counts[~kept].any()
    expected = 20000 / int(kept.sum())
    assert (counts[kept] - expected).abs().max() < 5 * expected**0.5
    assert scene.ignored.tolist() == [16, 16, 0, 16]
    assert torch.equal(scene.mask(0), torch.from_numpy(LEFT)) and scene.mask(2) is None


def test_white_masks_change_no_draw(folder, transforms):
    transforms(4)
    plain = build(folder).scene("train").sample(100, torch.Generator().manual_seed(3))[1]
    masked(folder, transforms, np.ones((4, 6), bool), value=7)
    scene = build(folder).scene("train")
    assert scene.ignored is None
    assert torch.equal(scene.sample(100, torch.Generator().manual_seed(3))[1], plain)


def test_a_block_with_an_ignored_pixel_is_ignored(folder, transforms):
    masked(folder, transforms, LEFT, cx=3.0, cy=2.0)
    scene = build(folder, downscale=2).scene("train")
    assert scene.mask(0).tolist() == [[True, False, False], [False] * 3]


def test_the_mask_of_instant_ngp_hides_what_is_not_black(folder, transforms):
    transforms(4)
    colors = np.zeros((4, 6, 3), np.uint8)
    colors[~LEFT] = (0, 0, 9)
    write_image(folder.path / "images" / "dynamic_mask_0001.png", colors)
    scene = build(folder, test_every=0).scene("train")
    assert torch.equal(scene.mask(1), torch.from_numpy(LEFT)) and scene.mask(0) is None


def test_what_is_ignored_says_nothing_of_alpha_and_background(folder, transforms):
    masked(folder, transforms, LEFT, channels=4)
    picture = np.full((4, 6, 4), 200, np.uint8)
    picture[LEFT] = (90, 80, 70, 255)
    for i in range(4):
        write_image(folder.path / "images" / f"{i:04d}.png", picture)
    capture = build(folder)
    assert capture.unbounded  # no pixel that counts is transparent
    scene = capture.scene("train")
    assert not scene.has_alpha
    assert estimate_background(scene) == pytest.approx((90 / 255, 80 / 255, 70 / 255))


def two(folder, content):
    write_image(folder.path / "images" / "dynamic_mask_0000.png", np.zeros((4, 6, 1), np.uint8))


def other_size(folder, content):
    write_image(folder.path / "mask.png", np.zeros((4, 5, 1), np.uint8))


def gone(folder, content):
    (folder.path / "mask.png").unlink()


def no_word(folder, content):
    content["frames"][1]["mask_path"] = 7
    folder.write("transforms.json", content)


def shared(folder, content):
    folder.write("transforms.json", {**content, "mask_path": "mask.png"})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (two, "one mask for frame 0"),
        (other_size, "a mask of 6x4 pixels, as its image, in frame 0.*5x4"),
        (gone, "the mask mask.png of frame 0.*no such file"),
        (no_word, "a file name for mask_path in frame 1"),
        (shared, "one for the whole file"),
    ],
)
def test_masks_that_cannot_be_used_are_one_line(folder, transforms, spoil, message):
    content = masked(folder, transforms, LEFT)
    spoil(folder, content)
    with pytest.raises(InputError, match=message) as error:
        build(folder)
    assert "\n" not in str(error.value)


def test_masks_that_ignore_everything_or_are_transparent(folder, transforms):
    masked(folder, transforms, np.zeros((4, 6), bool))
    with pytest.raises(InputError, match="ignore all of them"):
        build(folder).scene("train")
    clear = np.full((4, 6, 4), 255, np.uint8)
    clear[0, 0, 3] = 0
    write_image(folder.path / "mask.png", clear)
    with pytest.raises(InputError, match="transparent pixels"):
        build(folder).scene("train")

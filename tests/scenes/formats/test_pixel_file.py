"""Pixels in a file: the same as in memory, found again, and never half of them."""

import os
import shutil

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.memory import parse_bytes
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats import pixel_file
from polyfield.scenes.formats.transforms import Transforms
from polyfield.scenes.images import write_image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(pixel_file.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def scene(folder, memory="9B", split="train", **options):
    return Transforms().open(folder.path, ReadOptions(memory=memory, **options)).scene(split)


def draws(views, n=300):
    rays, rgba = views.sample(n, torch.Generator().manual_seed(1))
    return rays.directions, rgba


@pytest.mark.parametrize(
    ("text", "count"),
    [("500MB", 500e6), ("4 GB", 4e9), ("2GiB", 2 << 30), ("1.5kB", 1500), ("7b", 7), ("1TB", 1e12)],
)
def test_sizes_as_people_write_them(text, count):
    assert parse_bytes(text, "--memory") == count


@pytest.mark.parametrize("text", ["", "4", "GB", "-1GB", "4 gigs", "0B", "9" * 30 + "GB", "1e3MB"])
def test_other_words_are_no_sizes(text):
    with pytest.raises(InputError, match="a size of memory for --memory"):
        ReadOptions(memory=text)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_file_holds_what_memory_would(folder, transforms, cache, channels):
    transforms(10, channels=channels)
    plain, stored = scene(folder, None), scene(folder)
    assert plain.pixel_file is None and stored.pixel_file.parent == cache
    assert stored.pixel_file.stat().st_size == 4096 + 8 * 24 * channels
    assert stored.has_alpha == plain.has_alpha
    for one, other in zip(draws(plain), draws(stored), strict=True):
        assert torch.equal(one, other)
    for i in range(len(plain)):
        assert torch.equal(plain.view(i)[1], stored.view(i)[1])


def test_systems_without_reads_at_a_place(folder, transforms, monkeypatch):
    transforms(10)
    wanted = draws(scene(folder))[1]
    monkeypatch.delattr(os, "pread")
    assert torch.equal(draws(scene(folder))[1], wanted)


def test_a_file_cut_short_while_it_is_used_is_one_line(folder, transforms):
    transforms(10)
    stored = scene(folder)
    os.truncate(stored.pixel_file, 4096 + 24 * 3)
    for use in (draws, lambda views: views.view(2)):
        with pytest.raises(InputError, match="cut short"):
            use(stored)


def test_few_pixels_stay_in_memory(folder, transforms, cache):
    transforms(10)
    assert scene(folder, "1MB").pixel_file is None and not cache.exists()


def test_a_second_run_finds_the_file_unless_an_image_changed(folder, transforms, cache):
    transforms(10)
    first = scene(folder).pixel_file
    written = first.stat().st_ino
    assert scene(folder).pixel_file.stat().st_ino == written
    assert scene(folder, split="test").pixel_file != first
    assert scene(folder, downscale=2, memory="9B").pixel_file != first
    picture = folder.picture("images/0003.png")
    os.utime(picture, ns=(1, 1))
    assert scene(folder).pixel_file != first
    assert not list(cache.glob(".part-*"))


def test_a_file_cut_short_is_written_anew(folder, transforms):
    transforms(10)
    file = scene(folder).pixel_file
    for content in (file.read_bytes()[:-1], b"", b"x" * file.stat().st_size):
        file.write_bytes(content)
        assert torch.equal(draws(scene(folder))[1], draws(scene(folder, None))[1])


def test_sixteen_bits_after_eight_widen_the_file(folder, transforms):
    transforms(10)
    deep = np.random.default_rng(0).integers(0, 65536, (4, 6, 3), dtype=np.uint16)
    write_image(folder.path / "images" / "0005.png", deep)
    for one, other in zip(draws(scene(folder, None)), draws(scene(folder)), strict=True):
        assert torch.equal(one, other)


def test_floats_are_kept(folder, transforms):
    content = transforms(4)
    for i, frame in enumerate(content["frames"]):
        frame["file_path"] = f"images/{i}.exr"
        dtype = np.float16 if i < 2 else np.float32
        pixels = np.random.default_rng(i).random((4, 6, 3)).astype(dtype)
        write_image(folder.path / frame["file_path"], pixels)
    folder.write("transforms.json", content)
    for one, other in zip(draws(scene(folder, None)), draws(scene(folder)), strict=True):
        assert torch.equal(one, other)


def test_a_full_disk_is_one_line_and_leaves_nothing(folder, transforms, cache, monkeypatch):
    transforms(10)
    usage = shutil.disk_usage(folder.path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"room for 576 bytes.*got 100 bytes.*POLYFIELD_CACHE"):
        scene(folder)
    assert list(cache.iterdir()) == []


def test_files_that_nobody_uses_go(folder, transforms, cache):
    transforms(10)
    cache.mkdir()
    for name in ("old.pixels", ".part-x.pixels", "other.txt", "new.pixels"):
        (cache / name).write_text("")
        if name != "new.pixels":
            os.utime(cache / name, (0, 0))
    file = scene(folder).pixel_file
    assert {p.name for p in cache.iterdir()} == {"other.txt", "new.pixels", file.name}


def test_views_of_two_splits_as_one(folder, transforms):
    transforms(10)
    capture = Transforms().open(folder.path, ReadOptions(memory="9B"))
    names = [*capture.names("test"), *capture.names("train")[:3]]
    again = capture.regrouped({"train": names}).scene("train")
    assert again.pixel_file is not None
    assert torch.equal(again.view(0)[1], capture.scene("test").view(0)[1])
    assert torch.equal(again.view(3)[1], capture.scene("train").view(1)[1])

"""Runs of images from end to end: alpha, what is for scenes alone, Python and the command line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import polyfield
from polyfield.apps import cli

TINY = ["--threads", "1", "--quiet"]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colours that change across, alpha that changes down."""
    path = tmp_path_factory.mktemp("pictures") / "alpha.png"
    down, across = np.mgrid[0:24, 0:32]
    rgba = np.stack([across * 8, 255 - across * 8, np.full_like(down, 90), down * 11], -1)
    Image.fromarray(rgba.astype(np.uint8), "RGBA").save(path)
    return path


@pytest.fixture(scope="module")
def run(picture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "alpha"
    words = ["fit", "image", str(picture), "--steps", "150", "--out", str(folder), *TINY]
    assert cli.run(words) == 0
    return folder


def test_alpha_is_drawn_as_alpha(picture: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.png"
    assert cli.run(["render", str(run), "--out", str(out), *TINY]) == 0
    drawn = np.asarray(Image.open(out)).astype(int)
    truth = np.asarray(Image.open(picture)).astype(int)
    assert drawn.shape == (24, 32, 4)
    assert np.abs(drawn[..., 3] - truth[..., 3]).max() <= 12
    # Where it is seen; what is transparent has any colour.
    seen = truth[..., 3] > 40
    assert np.abs(drawn - truth)[seen].max() <= 24


@pytest.mark.parametrize(
    "flags", [["--sky"], ["--format", "blender"], ["--refine-poses"], ["--appearance", "affine"]]
)
def test_a_fit_has_no_flags_of_scenes(
    flags: list[str], picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert cli.run(["fit", "image", str(picture), "--steps", "2", "--out", str(out), *flags]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and flags[0] in said and not out.exists()


@pytest.mark.parametrize(
    "flags", [["--path", "orbit"], ["--what", "depth"], ["--frames", "3"], ["--fps", "5"]]
)
def test_a_picture_is_drawn_without_flags_of_films(
    flags: list[str], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.png"
    assert cli.run(["render", str(run), "--out", str(out), *flags]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and flags[0] in said and not out.exists()


@pytest.mark.parametrize("kind", ["image", "scene"])
def test_what_python_began_goes_on_from_the_command_line(kind: str, tmp_path: Path) -> None:
    """Backgrounds, boxes and the ways of reading are those of the command line by default."""
    folder = tmp_path / "run"
    changes = {"read.downscale": 16}
    polyfield.fit(kind, "demo", steps=3, out=folder, changes=changes, threads=1)
    words = ["fit", kind, "demo", "--downscale", "16", "--steps", "3", "--out", str(folder)]
    assert cli.run([*words, *TINY, "--resume"]) == 0


def test_an_image_fitted_from_python_goes_on_from_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    polyfield.fit_image("demo", steps=3, downscale=16, out=folder)
    words = ["fit", "image", "demo", "--downscale", "16", "--steps", "3", "--out", str(folder)]
    assert cli.run([*words, "--quiet", "--resume"]) == 0

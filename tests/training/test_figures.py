import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from polyfield import files
from polyfield.errors import WriteError
from polyfield.scenes.images import read_image
from polyfield.training import figures


def test_a_preview_shows_target_prediction_and_error(tmp_path: Path) -> None:
    target = torch.zeros(210, 300, 3)
    target[..., 0] = 1.0
    pairs = [figures.Pair(target, target, "same"), figures.Pair(target, 0 * target, "black")]
    figures.write_preview(tmp_path / "a.png", pairs, linear=False)
    found = read_image(tmp_path / "a.png")
    rows = np.split(found, 2)
    for row, right in zip(rows, ((255, 0, 0), (0, 0, 0)), strict=True):
        third = row.shape[1] // 3
        panels = [row[row.shape[0] // 2, third * i + third // 2] for i in range(3)]
        assert tuple(panels[0]) == (255, 0, 0)
        assert tuple(panels[1]) == right
    same, black = (row[row.shape[0] // 2, -third // 2].astype(int).sum() for row in rows)
    assert same < 20 < black


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 900, 3), (2000, 10, 1)])
def test_a_preview_of_any_size_is_made(tmp_path: Path, size: tuple[int, int, int]) -> None:
    picture = torch.rand(size)
    figures.write_preview(tmp_path / "a.png", [figures.Pair(picture, picture, "x")], True)
    assert max(read_image(tmp_path / "a.png").shape) < 3000


def test_a_curve_is_made_of_any_history(tmp_path: Path) -> None:
    for history in ([], [[0.1, 0.5, 12.0]], [[0.1, float("nan"), float("nan")], [0.2, 0.0, 3.0]]):
        figures.write_curve(tmp_path / "curve.png", history, measured=20.0)
        assert read_image(tmp_path / "curve.png").shape[0] > 100


def test_a_video_has_every_frame(tmp_path: Path) -> None:
    frames = (np.full((31, 41, 3), 8 * i, np.uint8) for i in range(20))
    assert figures.write_video(tmp_path / "a.mp4", frames) == 20
    found = _read(tmp_path / "a.mp4")
    assert found.shape == (20, 30, 40, 3)
    assert abs(int(found[10].mean()) - 80) < 6


def _read(path: Path) -> np.ndarray:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    command = [program, "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, 30, 40, 3)


def test_a_video_cut_short_leaves_nothing(tmp_path: Path) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield np.zeros((30, 40, 3), np.uint8)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        figures.write_video(tmp_path / "a.mp4", frames())
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_the_disk_does_not_take_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "_fault", lambda path: OSError(28, "No space left on device"))
    (tmp_path / "a.unknown").mkdir()
    frames = (np.zeros((30, 40, 3), np.uint8) for _ in range(3))
    with pytest.raises(WriteError, match="no space left on device"):
        figures.write_video(tmp_path / "a.unknown", frames)  # ffmpeg refuses the ending
    assert [path.name for path in tmp_path.iterdir()] == ["a.unknown"]
    assert capfd.readouterr() == ("", "")


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from polyfield.errors import WriteError
from polyfield.training.video import write_video
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
noise = np.random.default_rng(0)
frames = (noise.integers(0, 256, (200, 200, 3), dtype=np.uint8) for _ in range(9))
try:
    write_video(Path(sys.argv[1]), frames)
except WriteError as error:
    print(error)
"""


def test_a_video_longer_than_the_disk_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "a.mp4")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "expected to write" in done.stdout and done.stderr == ""
    assert not list(tmp_path.iterdir())


def test_a_caption_with_any_characters_is_drawn(tmp_path: Path) -> None:
    image = torch.rand(30, 30, 3)
    for caption in ("r_0\x1b[2J\n", "日本 é \U0001f600", "x" * 500, "\udcff"):
        figures.write_preview(tmp_path / "a.png", [figures.Pair(image, image, caption)], False)
        assert read_image(tmp_path / "a.png").size


def test_depth_is_bright_where_near_and_black_where_empty() -> None:
    depth = torch.tensor([[2.0, 3.0, 4.0, 0.0]])
    opacity = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    near, far = figures.depth_range(depth, opacity)
    assert 1.5 < near < 2.1 and 3.9 < far < 4.5
    found = figures.depth_picture(depth, opacity, near, far)
    assert float(found[0, 3].sum()) == 0
    assert not torch.allclose(found[0, 0], found[0, 2])
    assert figures.depth_range(depth, 0 * opacity) == (0.0, 1.0)

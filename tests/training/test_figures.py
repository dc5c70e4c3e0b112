from pathlib import Path

import numpy as np
import pytest
import torch

from polyfield.scenes.images import read_image
from polyfield.training import figures
from polyfield.training.scores import PSNR


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
        figures.write_curve(tmp_path / "curve.png", history, PSNR, measured=20.0)
        assert read_image(tmp_path / "curve.png").shape[0] > 100

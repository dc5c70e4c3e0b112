"""Files of a run are believed only where their values are of the right kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyfield.errors import InputError
from polyfield.training.run import Run
from polyfield.training.run_files import (
    checked_config,
    checked_metrics,
    checked_rows,
    checked_state,
)
from polyfield.training.watchers.probe import curve_of

PATH = Path("run/file")
CONFIG: dict[str, Any] = {
    "kind": "scene",
    "data": "demo",
    "preset": "hash",
    "seed": 0,
    "threads": 1,
}
METRICS: dict[str, Any] = {
    "psnr": 20.5, "ssim": None, "scores": ["psnr", "ssim"], "steps": 3, "seconds_training": 0.5,
    "parameters": 100, "psnr_student": None, "frame_seconds_teacher": 0.1, "split": "test",
    "per_view": [{"name": "a", "psnr": 20.5, "ssim": None}], "versions": {"numpy": "2"},
}  # fmt: skip
ROWS: dict[str, Any] = {"rows": [{"seconds": 0.1, "progress": 0.5, "psnr": 20.0}]}
STATE: dict[str, Any] = {
    "kind": "state", "step": 3, "samples": 30, "seconds": 0.5, "spent": True,
    "history": [[0.1, 0.5, float("nan")]],
}  # fmt: skip


def _refused(check: Callable[[Path, Any], object], tree: object, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        check(PATH, tree)
    for word in (*words, "run"):
        assert word in str(caught.value)


def test_good_files_come_back_as_they_are() -> None:
    assert checked_config(PATH, CONFIG) == CONFIG
    assert checked_metrics(PATH, METRICS) == METRICS
    assert checked_metrics(PATH, {}) == {}
    assert checked_rows(PATH, ROWS) == ROWS["rows"]
    assert checked_state(PATH, STATE) is STATE


@pytest.mark.parametrize("tree", [None, [], "words", 3])
def test_another_shape_is_a_line(tree: object) -> None:
    for check in (checked_config, checked_metrics, checked_rows):
        _refused(check, tree)


@pytest.mark.parametrize("key", CONFIG)
@pytest.mark.parametrize("value", [None, [], {}, True, 1.5])
def test_facts_of_a_config(key: str, value: object) -> None:
    _refused(checked_config, {**CONFIG, key: value}, key)
    _refused(checked_config, {k: v for k, v in CONFIG.items() if k != key}, key, "none")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("psnr", "high"), ("ssim", [1.0]), ("scores", "psnr"), ("scores", [1]), ("steps", "%s%n"),
        ("steps", 1.5), ("seconds_training", {}), ("parameters", "100,000"),
        ("psnr_student", "-"), ("frame_seconds_teacher", [0.1]), ("per_view", 3),
        ("per_view", [3]), ("per_view", [{"name": "a", "psnr": "high"}]),
    ],
)  # fmt: skip
def test_words_for_numbers_in_metrics(key: str, value: object) -> None:
    _refused(checked_metrics, {**METRICS, key: value}, key)


@pytest.mark.parametrize(
    "row", [3, {}, {"seconds": 0.1}, {"seconds": "x", "progress": 0.5}, {"progress": 0.5}]
)
def test_rows_of_a_curve(row: object) -> None:
    _refused(checked_rows, {"rows": [row]})


def test_rows_with_a_null_are_left_out(tmp_path: Path) -> None:
    row = {"seconds": 0.2, "progress": 1.0, "psnr": None}
    assert checked_rows(PATH, {"rows": [*ROWS["rows"], row]}) == ROWS["rows"]
    assert curve_of(Run(tmp_path)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "scene"), ("step", -1), ("step", "3"), ("step", True), ("samples", 1.5),
        ("seconds", float("nan")), ("seconds", float("inf")), ("spent", 1), ("history", None),
        ("history", [[0.1, 0.5]]), ("history", [["x", 0.5, 1.0]]), ("history", [[0.1, "x", 1.0]]),
    ],
)  # fmt: skip
def test_a_checkpoint_that_says_what_can_not_be(key: str, value: object) -> None:
    _refused(checked_state, {**STATE, key: value}, key)

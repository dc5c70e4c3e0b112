import csv
import json
from pathlib import Path

import numpy as np
import pytest

from polyfield.apps import cli
from polyfield.files import read_yaml
from polyfield.scenes.images import read_image, write_image


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    x = np.linspace(0, 255, 24).astype(np.uint8)
    rows = np.broadcast_to(x, (20, 24))
    write_image(path, np.stack([rows, rows[:, ::-1], rows // 2], -1))
    return path


def test_pictures_from_beginning_to_end(picture: Path, tmp_path: Path) -> None:
    """Names and YAML files side by side, two seeds, held-out pixels; a second go trains nothing."""
    (tmp_path / "wide.yaml").write_text(
        "field: {Coordinate: {network: {Perceptron: {layers: 1}}}}\n"
    )
    out = tmp_path / "out"
    command = ["compare", "image", str(picture), "--presets", f"hash,{tmp_path / 'wide.yaml'}"]
    command += ["--steps", "3", "--seeds", "2", "--batch", "all", "--holdout", "0.75"]
    command += ["--out", str(out), "--quiet"]
    assert cli.run(command) == 0
    rows = json.loads((out / "compare.json").read_text())["rows"]
    assert [(r["preset"], r["seed"]) for r in rows] == [
        ("hash", 0), ("hash", 1), ("wide", 0), ("wide", 1)
    ]  # fmt: skip
    for row in rows:
        assert row["steps"] == 3 and row["psnr_heldout"] > 0 and row["psnr_fitted"] > 0
        assert row["query_points_per_second"] > 0 and row["samples_per_second"] > 0
        metrics = json.loads((out / f"{row['preset']}-{row['seed']}/metrics.json").read_text())
        assert metrics["samples"] == 3 * 120  # a quarter of 20 x 24 pixels, three times
        assert row["psnr_heldout"] == metrics["psnr_heldout"]
    assert rows[0]["parameters_trainable"] == rows[2]["parameters_trainable"] + 64 * 64
    table = list(csv.DictReader((out / "compare.csv").read_text().splitlines()))
    assert [float(r["psnr_heldout"]) for r in table] == [r["psnr_heldout"] for r in rows]
    assert (out / "compare.md").read_text().count("\n| ") == 5
    for name in ("crops.png", "psnr-time.png", "psnr-bytes.png"):
        assert read_image(out / name).size
    before = (out / "hash-0/model.safetensors").stat().st_mtime_ns
    assert cli.run([*command, "--resume"]) == 0
    assert (out / "hash-0/model.safetensors").stat().st_mtime_ns == before


def test_a_file_names_its_preset_and_not_its_budget(picture: Path, tmp_path: Path) -> None:
    """The same file means the same to `fit`, and nobody has more time than the others."""
    file = tmp_path / "waves.yaml"
    file.write_text(
        "preset: siren\nfit: {seconds: 500}\nfield: {Coordinate: {network: {Siren: {hidden: 8}}}}\n"
    )
    out = str(tmp_path / "out")
    command = ["compare", "image", str(picture), "--presets", f"{file},hash", "--steps", "2"]
    assert cli.run([*command, "--holdout", "lattice", "--out", out, "--quiet"]) == 0
    rows = json.loads((tmp_path / "out" / "compare.json").read_text())["rows"]
    assert [row["steps"] for row in rows] == [2, 2] and rows[0]["psnr_heldout"] is not None
    fit = ["fit", "image", str(picture), "--config", str(file), "--steps", "2", "--quiet"]
    assert cli.run([*fit, "--out", str(tmp_path / "alone")]) == 0
    found = [read_yaml(tmp_path / name / "config.yaml") for name in ("out/waves-0", "alone")]
    assert found[1]["preset"] == "siren"
    assert found[0]["field"] == found[1]["field"] and found[0]["fit"] == found[1]["fit"]
    assert found[0]["objective"] == found[1]["objective"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--presets", "hash,vm"], ["'vm'", "siren"]),
        (["--presets", "hash,hsh"], ["'hsh'", "did you mean hash?"]),
        (["--presets", "hash,hash"], ["different names"]),
        (["--presets", ","], ["different names"]),
        (["--seeds", "0"], ["seeds"]),
        (["--batch", "many"], ["--batch"]),
        (["--holdout", "1.5"], ["holdout"]),
        (["--seconds", "1", "--steps", "1"], ["--seconds or --steps"]),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    flags: list[str], words: list[str], picture: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    assert cli.run(["compare", "image", str(picture), "--out", str(out), *flags]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and all(word in line for word in words)
    assert not out.exists()


def test_a_scene_has_fitted_and_held_out_views(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["compare", "scene", "demo", "--downscale", "8", "--steps", "2", "--out", str(out)]
    assert cli.run([*command, "--batch", "256", "--quiet"]) == 0
    (row,) = json.loads((out / "compare.json").read_text())["rows"]
    metrics = json.loads((out / "hash-0/metrics.json").read_text())
    assert row["psnr_heldout"] == metrics["psnr"] and row["psnr_fitted"] != row["psnr_heldout"]
    assert cli.run(command) == 2  # the folder is taken

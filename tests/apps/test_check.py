"""`polyfield check` and `polyfield process` from the command line."""

import json

import pytest

import polyfield
from polyfield.apps.check import CheckOptions
from polyfield.apps.cli import run
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.images import write_image


@pytest.fixture
def capture(tmp_path):
    import numpy as np

    folder = tmp_path / "capture"
    (folder / "images").mkdir(parents=True)
    frames = []
    for i in range(6):
        name = f"images/{i}.png"
        image = np.random.default_rng(i).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        write_image(folder / name, image)
        pose = look_at(0.3 * i, 0.4, 4.0)
        frames.append({"file_path": name, "transform_matrix": pose.tolist()})
    content = {"fl_x": 18.0, "w": 16, "h": 12, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(autouse=True)
def without_features(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pycolmap", None)


def degrees(folder):
    content = json.loads((folder / "transforms.json").read_text())
    del content["fl_x"]
    (folder / "transforms.json").write_text(json.dumps({**content, "camera_angle_x": 48.0}))


def test_a_sound_capture(capture, capsys):
    assert run(["check", str(capture)]) == 0
    out = capsys.readouterr().out
    assert "verdict: ok (0 faults" in out and "pip install 'polyfield[capture]'" in out
    assert run(["check", str(capture), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_a_fault_is_exit_code_2_and_mended_in_a_copy(capture, tmp_path, capsys):
    degrees(capture)
    assert run(["check", str(capture), "--fix", str(tmp_path / "fixed")]) == 2
    captured = capsys.readouterr()
    assert "most likely degrees" in captured.out and "mended copy in" in captured.out
    assert captured.err == ""
    assert run(["check", str(tmp_path / "fixed")]) == 0
    capsys.readouterr()
    assert run(["check", str(capture), "--fix", str(tmp_path / "fixed")]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(["check", str(capture), "--fix", str(capture), "--overwrite"]) == 2
    assert run(["check", str(capture), "--fix", str(tmp_path / "fixed"), "--overwrite"]) == 2


def test_json(capture, capsys):
    degrees(capture)
    assert run(["check", str(capture), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "fault"
    row = next(row for row in found["rows"] if row["name"] == "camera angles")
    assert row["verdict"] == "fault" and row["fix"] == "write the camera angles in radians"


def test_a_picture(capture, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    assert run(["check", str(capture), "--picture", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run(["check", str(capture), "--picture", str(picture)]) == 2
    assert run(["check", str(capture), "--picture", str(tmp_path / "a.jpg")]) == 2
    assert "end it with .png" in capsys.readouterr().err


def test_nothing_there_is_one_line(tmp_path, capsys):
    assert run(["check", str(tmp_path / "none")]) == 2
    assert "no such path" in capsys.readouterr().err
    assert run(["check", "demo", "--format", "x"]) == 2


def test_from_python(capture):
    degrees(capture)
    found = polyfield.check(capture, options=CheckOptions())
    assert found.verdict == "fault" and found.troubles[0].verdict == "fault"


def test_process_without_pycolmap(capture, tmp_path, capsys):
    assert run(["process", str(capture / "images"), "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'polyfield[capture]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

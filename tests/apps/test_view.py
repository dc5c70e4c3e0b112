"""`polyfield view` and `fit ... --view` as a user meets them."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

import polyfield
from polyfield.apps import cli
from polyfield.apps.choices import task_of
from polyfield.renderers.stages.base import Look
from polyfield.training.figures import to_bytes
from polyfield.training.run import Run

TINY = "--downscale 16 --steps 2 --threads 1 --quiet".split()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an image: quick to make."""
    folder = tmp_path_factory.mktemp("runs") / "image"
    assert cli.run(["fit", "image", "demo", "--out", str(folder), *TINY]) == 0
    return folder


def _fails(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.run(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_mistakes_are_one_line(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "a RUN folder" in _fails(["view", str(tmp_path)], capsys)
    assert "port" in _fails(["view", str(image), "--port", "0"], capsys)
    assert "max-side" in _fails(["view", str(image), "--max-side", "5"], capsys)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = _fails(["view", str(image), "--port", port], capsys)
        assert "a free port for --port" in said and "taken" in said
        words = ["fit", "image", "demo", "--out", str(tmp_path / "new"), *TINY, "--port", port]
        assert "--view with --port" in _fails(words, capsys)
        assert "a free port for --port" in _fails([*words, "--view"], capsys)
        assert not (tmp_path / "new").exists()
    monkeypatch.setitem(sys.modules, "viser", None)
    said = _fails(["view", str(image)], capsys)
    assert "viser" in said and "polyfield[viewer]" in said


def _started(words: list[str]) -> "subprocess.Popen[str]":
    code = "import sys; from polyfield.apps.cli import main; sys.argv[0] = 'polyfield'; main()"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def _lines_until(process: "subprocess.Popen[str]", word: str) -> str:
    assert process.stdout is not None
    text = ""
    while word not in text:
        line = process.stdout.readline()
        assert line, text
        text += line
    return text


def test_ctrl_c_ends_it_quietly(image: Path) -> None:
    process = _started(["view", str(image), "--threads", "1"])
    told = _lines_until(process, "ssh -L")
    found = re.search(r"open http://127\.0\.0\.1:(\d+) in a browser", told)
    assert found is not None
    with socket.create_connection(("127.0.0.1", int(found[1])), timeout=10):
        pass
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0 and error == ""
    assert out.splitlines() == ["closed"]


def test_a_fit_in_view_stays_open_until_ctrl_c(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["fit", "image", "demo", "--out", str(run), "--downscale", "16", "--steps", "20"]
    process = _started([*words, "--threads", "1", "--view"])
    told = _lines_until(process, "Ctrl-C ends\n")
    assert "open http://127.0.0.1:" in told and "written to" in told
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0 and error == "" and "closed" in out
    assert Run(run).metrics()["steps"] == 20
    assert "view" not in (run / "config.yaml").read_text()


def test_an_image_is_seen_as_it_is(image: Path) -> None:
    run = Run(image)
    model = polyfield.load(image)
    stage = task_of(run).stage(model, run)
    width, height = model.info.shape
    # From so far away that the height of the image is that of the picture, pixel by pixel.
    focal = float(stage.start.pose[2, 3]) * stage.start.height / height
    camera = type(stage.start)(
        stage.start.pose, width, height, focal * height / stage.start.height,
        focal * height / stage.start.height, width / 2, height / 2,
    )  # fmt: skip
    look = Look(stage.shows[0])
    values = np.concatenate([part.numpy() for part in stage.values(camera, look, 1000)])
    wanted = to_bytes(model.render()[..., :3], False)
    found = (values.reshape(height, width, 3).clip(0, 1) * 255).round()
    assert np.abs(found - wanted).max() <= 1


def test_a_sound_is_seen_and_heard(tmp_path: Path) -> None:
    folder = tmp_path / "sound"
    words = ["fit", "sound", "demo", "--length", "0.2", "--steps", "2", "--threads", "1", "--quiet"]
    assert cli.run([*words, "--out", str(folder)]) == 0
    run = Run(folder)
    model = polyfield.load(folder)
    stage = task_of(run).stage(model, run)
    wav = stage.sound()
    assert wav is not None
    with wave.open(io.BytesIO(wav)) as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        frames = frames.reshape(-1, file.getnchannels())
    heard = model.render().clamp(-1, 1).numpy()
    assert frames.shape == heard.shape and np.abs(frames - heard).max() < 1e-3
    camera = stage.start.resized(120, 90)
    values = torch.cat(list(stage.values(camera, Look("color"), 4000))).reshape(90, 120, 3)
    image = stage.image(values, Look("color"))
    assert image.shape == (90, 120, 3) and image.std() > 5


def test_a_kind_without_a_view_says_so(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from polyfield.errors import InputError
    from polyfield.training.task import Task

    task = task_of(Run(image))
    monkeypatch.setattr(type(task), "stage", Task.stage)
    with pytest.raises(InputError, match="a kind that can be viewed; got image"):
        polyfield.view(image)

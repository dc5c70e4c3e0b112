"""The command line as a user meets it: exit codes, one-line errors, files."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import polyfield
from polyfield.apps import cli
from polyfield.backends import optional
from polyfield.scenes.images import read_image, write_image

SMALL_IMAGE = ["--field.encoding.levels", "4", "--field.encoding.log2-size", "10"]


@pytest.fixture(autouse=True)
def _keep_signals_and_threads():
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    yield
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    x = np.linspace(0, 255, 24, dtype=np.uint8)
    array = np.stack(np.broadcast_arrays(x[:, None], x[None], 128), -1).astype(np.uint8)
    write_image(tmp_path / "in.png", array)
    return tmp_path / "in.png"


def _fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be wrong input; its one line."""
    assert cli.run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("polyfield: error: expected ")
    assert captured.err.count("\n") == 1 and captured.err.count("; ") >= 2
    return captured.err


def test_an_image_from_beginning_to_end(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["fit", "image", str(picture), "--out", str(out), "--steps", "30", *SMALL_IMAGE]
    assert cli.run(command) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for word in ("24x24", "training", "checkpoints", "evaluation", "images", "PSNR"):
        assert word in printed.out
    names = {path.name for path in out.iterdir()}
    assert names == {
        "config.yaml", "model.safetensors", "state.safetensors", "metrics.json", "log",
        "preview.png", "curve.png", "prediction.png",
    }  # fmt: skip
    metrics = json.loads((out / "metrics.json").read_text())
    assert {
        "psnr", "ssim", "split", "per_view", "views", "frames_skipped", "seconds_training", "steps",
        "samples", "samples_per_second", "parameters", "model_bytes", "peak_memory_bytes", "seed",
        "versions", "background", "color_space",
    } <= metrics.keys()  # fmt: skip
    assert metrics["steps"] == 30 and metrics["samples"] == 30 * 24 * 24
    assert metrics["psnr"] > 10
    prediction = read_image(out / "prediction.png")
    assert prediction.dtype == np.uint8 and prediction.shape == (24, 24, 3)
    error = np.square(prediction / 255.0 - read_image(picture) / 255.0).mean()
    assert metrics["psnr"] == pytest.approx(-10 * np.log10(error), abs=0.2)

    assert cli.run([*command, "--resume"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert "--resume or --overwrite" in _fails(command, capsys)
    assert "seed 1 instead of 0" in _fails([*command, "--resume", "--seed", "1"], capsys)

    before = metrics["psnr"]
    (out / "metrics.json").unlink()
    assert cli.run(["evaluate", str(out)]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["psnr"] == pytest.approx(before, abs=1e-6) and metrics["steps"] == 30

    assert cli.run(["render", str(out), "--out", str(tmp_path / "big"), "--size", "50x40"]) == 0
    assert read_image(tmp_path / "big" / "00000.png").shape == (40, 50, 3)
    capsys.readouterr()
    assert cli.run(["info", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["state"]["step"] == 30 and found["config"]["data"] == str(picture)

    again = tmp_path / "again"
    config = ["--config", str(out / "config.yaml")]
    assert cli.run(["fit", "image", str(picture), "--out", str(again), "--quiet", *config]) == 0
    a, b = (polyfield.load(path).field.state_dict() for path in (out, again))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert capsys.readouterr().out == ""


def test_a_picture_of_16_bits_and_a_float_one_come_back_as_such(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    deep = generator.integers(0, 65536, (12, 9, 3), dtype=np.uint16)
    bright = generator.uniform(0, 5, (12, 9, 3)).astype(np.float32)
    for name, array in (("deep.png", deep), ("bright.exr", bright)):
        write_image(tmp_path / name, array)
        out = tmp_path / f"run_{name}"
        command = ["fit", "image", str(tmp_path / name), "--out", str(out), "--steps", "3"]
        assert cli.run([*command, "--quiet", *SMALL_IMAGE]) == 0
        found = read_image(out / f"prediction{Path(name).suffix}")
        assert found.dtype == array.dtype and found.shape == array.shape
    assert "psnr_linear" in json.loads((out / "metrics.json").read_text())
    # Of a file whose ending can't hold what is in it, the prediction has one that can.
    for name, array, ending in (("deep.png", deep, ".png"), ("bright.exr", bright, ".exr")):
        odd, out = tmp_path / f"{Path(name).stem}.jpg", tmp_path / f"odd_{name}"
        odd.write_bytes((tmp_path / name).read_bytes())
        command = ["fit", "image", str(odd), "--out", str(out), "--steps", "3", "--quiet"]
        assert cli.run([*command, *SMALL_IMAGE]) == 0
        assert read_image(out / f"prediction{ending}").dtype == array.dtype


def test_a_scene_from_beginning_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    small = [
        "--field.position.levels", "4", "--field.position.log2-size", "12",
        "--sampler.resolution", "16", "--sampler.steps", "32", "--objective.samples", "4096",
    ]  # fmt: skip
    command = ["fit", "scene", "demo", "--downscale", "8", "--steps", "20", "--out", str(out)]
    assert cli.run([*command, *small]) == 0
    printed = capsys.readouterr()
    assert printed.err == "" and "PSNR" in printed.out
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["split"] == "test" and metrics["views"] == len(metrics["per_view"]) > 1
    assert metrics["psnr"] == pytest.approx(np.mean([view["psnr"] for view in metrics["per_view"]]))
    assert metrics["background"] == [1.0, 1.0, 1.0]

    for path in ("orbit", "interpolate"):
        target = tmp_path / f"{path}.mp4"
        command = ["render", str(out), "--path", path, "--frames", "3", "--out", str(target)]
        assert cli.run([*command, "--size", "32x24"]) == 0
        assert target.stat().st_size > 100
    what = ["--path", "orbit", "--frames", "2", "--size", "20x16", "--quiet"]
    for kind in ("color", "depth", "opacity"):
        folder = tmp_path / kind
        assert cli.run(["render", str(out), *what, "--what", kind, "--out", str(folder)]) == 0
        assert sorted(p.name for p in folder.iterdir()) == ["00000.png", "00001.png"]
        assert read_image(folder / "00001.png").shape == (16, 20, 3)
    splits = json.loads((out / "cameras.json").read_text())["splits"]
    (tmp_path / "path.json").write_text(json.dumps({"frames": splits["test"][:2]}))
    for path, count in (("test", metrics["views"]), (str(tmp_path / "path.json"), 2)):
        folder = tmp_path / f"frames{count}"
        command = ["render", str(out), "--path", path, "--size", "16x16", "--out", str(folder)]
        assert cli.run(command) == 0
        assert len(list(folder.iterdir())) == count
    capsys.readouterr()
    wrong = ["render", str(out), "--path", "orbitt", "--out", str(tmp_path / "new")]
    assert "pick one of them" in _fails(wrong, capsys)
    assert not (tmp_path / "new").exists()


def test_missing_pictures_are_told_and_counted(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    fox = str(data_dir / "nerf" / "fox")
    small = ["--field.position.levels", "2", "--sampler.resolution", "16", "--sampler.steps", "32"]
    command = ["fit", "scene", fox, "--downscale", "15", "--steps", "2", "--out", str(out)]
    assert cli.run([*command, "--quiet", *small]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("polyfield: warning: 17 of 67") and printed.err == ""
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["frames_skipped"] == 17 and metrics["views"] == 7
    assert "add them" in _fails([*command[:-1], str(tmp_path / "b"), "--strict"], capsys)


BAD_COMMANDS = [
    (["fit", "scene", "nowhere", "--out", "OUT"], "no such path"),
    (["fit", "image", "nowhere.png", "--out", "OUT"], "nowhere.png"),
    (["fit", "image", "demo", "--out", "OUT", "--seconds", "0"], "seconds above 0"),
    (["fit", "image", "demo", "--out", "OUT", "--seconds", "nan"], "seconds above 0"),
    (["fit", "image", "demo", "--out", "OUT", "--steps", "-3"], "steps between 1"),
    (["fit", "image", "demo", "--out", "OUT", "--steps", "3", "--seconds", "3"], "both"),
    (["fit", "image", "demo", "--out", "OUT", "--preset", "hsah"], "did you mean hash?"),
    (["fit", "image", "demo", "--out", "OUT", "--sead", "3"], "did you mean --seed?"),
    (["fit", "image", "demo", "--out", "OUT", "--seed", "-1"], "seed between 0"),
    (["fit", "image", "demo", "--out", "OUT", "--threads", "0"], "threads between"),
    (["fit", "image", "demo", "--out", "OUT", "--downscale", "0"], "downscale"),
    (["fit", "image", "demo", "--out", "OUT", "--checkpoint-every", "-1"], "checkpoint-every"),
    (["fit", "image", "demo", "--out", "OUT", "--background", "pink"], "white, black"),
    (["fit", "image", "demo", "--out", "OUT", "--config", "none.yaml"], "none.yaml"),
    (["fit", "image", "demo", "--out", "OUT", "--field.encoding.levels", "0"], "levels"),
    (["fit", "image", "demo", "--out", "OUT", "--resume", "--overwrite"], "both"),
    (["fit", "scene", "demo", "--out", "OUT", "--bounds", *"000111"[:5]], "--bounds"),
    (["fit", "scene", "demo", "--out", "OUT", "--background", "2,2,2"], "white, black"),
    (["render", "nowhere", "--out", "OUT"], "nowhere"),
    (["render", "nowhere", "--out", "OUT", "--size", "3"], "--size"),
    (["render", "nowhere", "--out", "OUT", "--frames", "0"], "frames"),
    (["evaluate", "nowhere"], "nowhere"),
    (["info", "nowhere"], "nowhere"),
]


def test_a_run_has_a_folder_of_its_own_by_default(
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Named after data and preset, and never overwritten without the flag."""
    monkeypatch.chdir(tmp_path)
    command = ["fit", "image", str(picture), "--steps", "1", *SMALL_IMAGE]
    assert cli.run(command) == 0
    assert (tmp_path / "runs" / "in-hash" / "model.safetensors").is_file()
    capsys.readouterr()
    assert "--resume or --overwrite" in _fails(command, capsys)
    out = ["render", "runs/in-hash", "--out", "film.webm"]
    assert ".mp4" in _fails(out, capsys)


@pytest.mark.parametrize(("command", "word"), BAD_COMMANDS)
def test_bad_input_is_one_line_and_leaves_nothing(
    command: list[str],
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert word in _fails(command, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("feild: {}", ["'feild'", "did you mean field?"]),
        ("field: {Coordinate: {netwrk: {}}}", ["field", "did you mean network?"]),
        ("field: {Coordinate: {encoding: {HshGrid: {}}}}", ["encoding", "did you mean HashGrid?"]),
        ("fit: {rates: {table: fast}}", ["fit.rates.table", "a number"]),
        ("fit: [1, 2", ["line 1"]),
        ("- 1", ["keys with values"]),
        ("fit: {seconds: -1}", ["seconds"]),
    ],
)
def test_a_bad_config_file_is_named(
    text: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    out = tmp_path / "run"
    command = ["fit", "image", "demo", "--out", str(out), "--config", str(tmp_path / "a.yaml")]
    line = _fails(command, capsys)
    assert all(word in line for word in words)
    assert not out.exists()


def test_flags_go_before_the_config_file_and_that_before_the_preset(
    picture: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("field: {Coordinate: {network: {Perceptron: {layers: 1}}}}\nfit: {steps: 2}\n")
    out = tmp_path / "run"
    command = ["fit", "image", str(picture), "--out", str(out), "--config", str(file), "--quiet"]
    assert cli.run([*command, "--field.network.hidden", "16"]) == 0
    found = polyfield.load(out).field
    assert found.network.widths[1:] == [16, 3]
    assert json.loads((out / "metrics.json").read_text())["steps"] == 2


def test_an_unforeseen_error_is_one_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from polyfield.apps import info

    def fail() -> dict[str, object]:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(info, "machine", fail)
    assert cli.run(["info"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "RuntimeError: two lines" in error
    monkeypatch.setenv("POLYFIELD_DEBUG", "1")
    assert cli.run(["info"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_impossible_backend_is_told_before_any_work(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("polyfield"))
    done = subprocess.run(
        [program, "fit", "image", "demo", "--out", str(tmp_path / "run")],
        env={**os.environ, "POLYFIELD_BACKEND": "bogus"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "auto, reference, numba" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_broken_installation_is_one_line_too(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('no such library')")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("polyfield")), "info"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "no such library" in done.stderr


def test_info_of_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() >= {"versions", "threads", "presets", "backends"}
    assert "hash" in found["presets"]["scene"] and "hash" in found["presets"]["image"]
    assert cli.run(["info"]) == 0
    printed = capsys.readouterr().out
    assert "tinycudann" in printed and "nerfacc" in printed


@pytest.mark.parametrize(
    ("kind", "tree", "package"),
    [
        ("image", "field: {Coordinate: {encoding: {TcnnHashGrid: {levels: 4}}}}", "tiny-cuda-nn"),
        ("image", "field: {Coordinate: {network: {TcnnPerceptron: {}}}}", "tiny-cuda-nn"),
        ("scene", "field: {Radiance: {position: {TcnnHashGrid: {}}}}", "tiny-cuda-nn"),
        ("scene", "sampler: {NerfaccGrid: {steps: 100}}", "nerfacc"),
    ],
)
def test_a_missing_optional_package_is_one_line(
    kind: str,
    tree: str,
    package: str,
    picture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optional, "_found", lambda module: False)
    optional.load.cache_clear()
    (tmp_path / "mine.yaml").write_text(tree)
    data = str(picture) if kind == "image" else "demo"
    config = ["--config", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out")]
    said = _fails(["fit", kind, data, "--steps", "2", *config], capsys)
    assert f"expected {package} for " in said and "pip install" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["fit scene", "fit image", "evaluate", "render", "info"])
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*verb.split(), "--help"]) == 0
    assert f"usage: polyfield {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_run_goes_on(
    number: int, code: int, picture: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [
        str(Path(sys.executable).with_name("polyfield")), "fit", "image", str(picture),
        "--out", str(out), "--seconds", "1.5", *SMALL_IMAGE,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    while not (out / "log").exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert error.count("\n") == 1 and f"saved in {out}" in error
    assert (out / "model.safetensors").is_file() and not (out / "metrics.json").exists()
    polyfield.load(out)
    shutil.copytree(out, tmp_path / "copy")
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "resuming at step" in done.stdout
    seconds = json.loads((out / "metrics.json").read_text())["seconds_training"]
    assert 1.4 < seconds < 3


def test_a_killed_run_goes_on(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [
        str(Path(sys.executable).with_name("polyfield")), "fit", "image", str(picture),
        "--out", str(out), "--seconds", "1.5", "--resume", *SMALL_IMAGE,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not (out / "log").exists() and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait(timeout=60)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (out / "metrics.json").is_file()

"""Disks that are full or read-only, data that is gone, folders that are taken."""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="file systems and limits of Linux"),
]

SMALL = (
    "--downscale", "8", "--steps", "20", "--threads", "1", "--device", "cpu",
    "--field.encoding.levels", "4", "--field.encoding.log2-size", "10",
)  # fmt: skip
SCENE = (
    "--downscale", "16", "--steps", "2", "--threads", "1", "--device", "cpu",
    "--field.position.levels", "2", "--field.position.log2-size", "6", "--sampler.resolution", "8",
)  # fmt: skip


def _run(*words: object, before: Callable[[], None] | None = None) -> tuple[int, str, str]:
    command = [sys.executable, "-P", "-m", "polyfield", *map(str, words)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=before, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


def _line(found: tuple[int, str, str], code: int, *parts: str) -> None:
    """A failure of one line with these words in it."""
    got, _, error = found
    assert got == code, error
    assert error.startswith("polyfield: error: expected ") and error.count("\n") == 1, error
    for part in parts:
        assert part in error.lower(), error


def _whole(folder: Path) -> None:
    """Nothing in a folder is half written or temporary."""
    assert not list(folder.rglob(".part-*"))


@contextlib.contextmanager
def _disk(place: Path, kilobytes: int) -> Iterator[Path]:
    """A small file system; skips where it can't be mounted."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if done.returncode != 0:
        pytest.skip(f"a tmpfs can't be mounted: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("kilobytes", [4, 64, 200])
def test_a_fit_on_a_full_disk_is_a_line(kilobytes: int, tmp_path: Path) -> None:
    """At its first file, at its checkpoint, at its pictures."""
    with _disk(tmp_path / "disk", kilobytes) as disk:
        out = disk / "run"
        found = _run("fit", "image", "demo", "--out", out, *SMALL)
        _line(found, 1, "no space left", str(out).lower())
        if out.exists():
            _whole(out)
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        code, _, error = _run("fit", "image", "demo", "--out", out, *SMALL, "--resume")
        assert (code, error) == (0, "")
        _whole(out)
        assert (out / "metrics.json").is_file()


def test_a_model_is_not_harmed_by_a_disk_that_fills_up(tmp_path: Path) -> None:
    with _disk(tmp_path / "disk", 8000) as disk:
        out = disk / "run"
        assert _run("fit", "image", "demo", "--out", out, *SMALL)[0] == 0
        before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
        ballast = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while True:
                os.write(ballast, bytes(4096))
        os.close(ballast)
        for words in (
            ("evaluate", out),
            ("render", out, "--out", disk / "x.png"),
            ("distill", out, "--to", "dense", "--steps", "1", "--out", disk / "student"),
        ):
            _line(_run(*words, "--threads", "1"), 1, "no space left")
        assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == before
        assert not (disk / "x.png").exists()
        _whole(disk)


@pytest.mark.parametrize("name", ["film.mp4", "frames"])
def test_a_film_that_does_not_fit_is_no_film(name: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _run("fit", "scene", "demo", "--out", run, *SCENE)[0] == 0
    with _disk(tmp_path / "disk", 8) as disk:
        found = _run(
            "render", run, "--frames", "6", "--size", "160x120", "--out", disk / name,
            "--threads", "1",
        )  # fmt: skip
        _line(found, 1, "no space left", name)
        assert not (disk / name).exists()
        _whole(disk)


def test_a_limit_on_the_size_of_files_is_a_line(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    out = tmp_path / "run"
    _line(_run("fit", "image", "demo", "--out", out, *SMALL, before=limit), 1, "file too large")
    _whole(out)


def test_a_disk_that_may_only_be_read_is_told_before_training(tmp_path: Path) -> None:
    with _disk(tmp_path / "disk", 4000) as disk:
        run = disk / "run"
        assert _run("fit", "image", "demo", "--out", run, *SMALL)[0] == 0
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        _line(_run("fit", "image", "demo", "--out", disk / "other", *SMALL), 2, "folder to write")
        _line(_run("fit", "image", "demo", "--out", run, *SMALL, "--overwrite"), 2, "write")
        assert _run("info", run)[0] == 0
        assert _run("render", run, "--out", tmp_path / "x.png", "--threads", "1")[0] == 0


def test_data_that_is_gone_when_it_is_evaluated(tmp_path: Path) -> None:
    from polyfield.scenes.demo.image import demo_image
    from polyfield.scenes.images import write_image

    data, run = tmp_path / "x.png", tmp_path / "run"
    write_image(data, demo_image()[::8, ::8])
    assert _run("fit", "image", data, "--out", run, *SMALL[2:])[0] == 0
    before = (run / "metrics.json").read_bytes()
    data.unlink()
    _line(_run("evaluate", run), 2, "x.png", "no such file")
    assert (run / "metrics.json").read_bytes() == before
    assert _run("render", run, "--out", tmp_path / "y.png", "--threads", "1")[0] == 0
    finished = _run("fit", "image", data, "--out", run, *SMALL[2:], "--resume")
    assert finished[0] == 0 and "nothing to do" in finished[1]


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    run = tmp_path / "run"
    fit = f"fit image demo --out {run} {' '.join(SMALL)}"
    for words in ("info", fit, f"info {run} --json"):
        line = f"{sys.executable} -P -m polyfield {words} | head -n 1"
        done = subprocess.run([bash, "-c", line], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "") and done.stdout, words
    assert (run / "metrics.json").is_file()
    assert os.listdir(tmp_path) == ["run"]

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from polyfield.errors import InputError, WriteError
from polyfield.renderers.films import Frames, Gif, Video, film_of
from polyfield.renderers.films import frames as frames_module
from polyfield.scenes.images import read_image


def _frames(count: int, height: int = 30, width: int = 40, first: int = 0) -> Iterator[np.ndarray]:
    return (np.full((height, width, 3), first + 8 * i, np.uint8) for i in range(count))


def _read(path: Path, height: int, width: int) -> np.ndarray:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    command = [program, "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("a.mp4", Video()),
        ("A.MP4", Video()),
        ("a.gif", Gif()),
        ("frames", Frames()),
        ("orbit_v1.5", Frames()),
        ("take 2. final", Frames()),
        (".hidden", Frames()),
        ("v2.2026-11-29", Frames()),
    ],
)
def test_the_path_names_the_kind(name: str, film: Video | Gif | Frames) -> None:
    assert film_of(Path(name)) == film


@pytest.mark.parametrize("name", ["a.apng", "a.avi", "a.MOV", "a.webm", "a.png", "b/c.mkv"])
def test_other_files_are_refused_naming_mp4(name: str) -> None:
    with pytest.raises(InputError, match=r"\.mp4"):
        film_of(Path(name))


def test_a_folder_that_is_there_is_a_folder_whatever_its_name(tmp_path: Path) -> None:
    for name in ("a.gif", "a.mp4"):
        (tmp_path / name).mkdir()
        assert film_of(tmp_path / name) == Frames()


def test_frames_per_second_come_from_the_user_then_from_the_path() -> None:
    assert film_of(Path("a.mp4"), 12, 24) == Video(12)
    assert film_of(Path("a.mp4"), None, 24) == Video(24)
    assert film_of(Path("a.gif"), 12, 24) == Gif(12)
    assert film_of(Path("a.gif"), None, 60) == Gif(50)
    assert film_of(Path("a"), None, 24) == Frames()
    with pytest.raises(InputError, match="fps between 1 and 50 for a GIF"):
        film_of(Path("a.gif"), 60)
    with pytest.raises(InputError, match="leave out --fps"):
        film_of(Path("a"), 24)
    for wrong in (0.0, -1.0, 241.0, float("nan"), 1e12):
        with pytest.raises(InputError, match="fps between 1 and 240"):
            film_of(Path("a.mp4"), wrong)


@pytest.mark.parametrize(
    ("height", "width", "shown"), [(31, 41, (30, 40)), (1, 7, (2, 6)), (2, 1, (2, 2))]
)
def test_a_video_has_every_frame(
    tmp_path: Path, height: int, width: int, shown: tuple[int, int]
) -> None:
    assert Video().write(_frames(20, height, width), tmp_path / "new" / "a.mp4") == 20
    found = _read(tmp_path / "new" / "a.mp4", *shown)
    assert len(found) == 20
    assert abs(int(found[10].mean()) - 80) < 6
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.mp4"]


def test_a_video_has_the_rate_asked_for(tmp_path: Path) -> None:
    for rate in (24.0, 30000 / 1001):
        Video(rate).write(_frames(5), tmp_path / "a.mp4")
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / "a.mp4")]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        assert f"{round(rate, 2):g} fps" in told


def test_a_gif_has_every_frame_at_the_rate_asked_for(tmp_path: Path) -> None:
    from PIL import Image

    assert Gif(30).write(_frames(7), tmp_path / "new" / "a.gif") == 7
    with Image.open(tmp_path / "new" / "a.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (7, (40, 30), 0)
        lengths = []
        for i in range(7):
            film.seek(i)
            lengths.append(film.info["duration"])
            assert abs(int(np.asarray(film.convert("RGB")).mean()) - 8 * i) <= 2
    assert sum(lengths) == 230  # 7 / 30 s, in hundredths
    with pytest.raises(InputError, match="at least one frame"):
        Gif().write(iter([]), tmp_path / "b.gif")
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["a.gif"]


def test_values_are_kept_in_exr_and_in_16_bits(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 5), dtype=np.float32) * 9
    Frames("exr").write(iter([values]), tmp_path / "a")
    assert np.array_equal(read_image(tmp_path / "a" / "00000.exr")[..., 0], values)
    deep = (values * 7000).astype(np.uint16)
    Frames().write(iter([deep]), tmp_path / "b")
    assert np.array_equal(read_image(tmp_path / "b" / "00000.png")[..., 0], deep)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a"])
def test_what_is_cut_short_leaves_what_was_there(tmp_path: Path, name: str) -> None:
    def fail() -> Iterator[np.ndarray]:
        yield from _frames(3, first=99)
        raise RuntimeError("no more")

    path = tmp_path / name
    for before in (0, 1):
        if before:
            film_of(path).write(_frames(2), path)
        kept = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
        with pytest.raises(RuntimeError, match="no more"):
            film_of(path).write(fail(), path)
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == kept


def test_no_frames_make_no_film(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one frame"):
        Video().write(iter([]), tmp_path / "a.mp4")
    with pytest.raises(InputError, match="16384 pixels a side"):
        Video().write(_frames(1, 2, 16386), tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def _pretend_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport os, sys, signal\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))


FULL = os.strerror(errno.ENOSPC)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("os.kill(os.getpid(), 9)", "signal 9"),
        ("sys.stdin.buffer.read(100); os.kill(os.getpid(), 9)", "signal 9"),
        ("sys.stdin.buffer.read(); os.kill(os.getpid(), 15)", "signal 15"),
        ("sys.stdin.buffer.read(); sys.stderr.write('odd\\x1b[31m thing\\n'); sys.exit(3)", "odd"),
        (f"sys.stdin.buffer.read(); sys.stderr.write('x: {FULL}\\n' * 9); sys.exit(228)", FULL),
        ("sys.stdin.buffer.read(); open(sys.argv[-1], 'w')", "cut short"),
        ("sys.stdin.buffer.read(); open(sys.argv[-1], 'w').write('no film at all')", "cut short"),
        ("sys.stdin.buffer.read()", "No such file"),
        ("sys.exit(0)", "ffmpeg ended"),
    ],
)
def test_an_ffmpeg_that_fails_leaves_no_film_and_says_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    text: str,
    words: str,
) -> None:
    _pretend_ffmpeg(tmp_path, monkeypatch, text)
    home = tmp_path / "home"
    with pytest.raises(WriteError) as caught:
        Video().write(_frames(9, 300, 400), home / "a.mp4")
    line = str(caught.value)
    assert words.lower() in line and "a.mp4" in line and line.isprintable() and len(line) < 500
    assert list(home.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_no_ffmpeg_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="ffmpeg"):
        Video().check(tmp_path / "a.mp4", False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_under_ffmpeg_itself_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    real = imageio_ffmpeg.get_ffmpeg_exe()
    command = f"os.execv({real!r}, [{real!r}, *sys.argv[1:-1], '-f', 'mp4', '/dev/full'])"
    _pretend_ffmpeg(tmp_path, monkeypatch, command)
    with pytest.raises(WriteError, match=FULL.lower()):
        Video().write(_frames(9), tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_under_frames_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def write(path: Path, frame: np.ndarray) -> None:
        if len(done) == 2:
            raise OSError(errno.ENOSPC, FULL)
        done.append(path)
        path.write_bytes(b"x")

    monkeypatch.setattr(frames_module, "write_image", write)
    with pytest.raises(WriteError, match=FULL.lower()):
        Frames().write(_frames(5), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file/a.mp4", "file/a.gif", "file/frames"])
def test_a_place_that_can_not_be_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / name
    with pytest.raises(WriteError, match="expected to write"):
        film_of(path).write(_frames(1), path)


def test_new_frames_take_the_place_of_older_ones_and_of_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert Frames().write(_frames(6), out) == 6
    kept = ("notes.txt", "cover.png", "0001.png", "00007.jpg", "a00003.png")
    for name in kept:
        (out / name).write_text(name)
    (out / "100000.png").write_text("an old frame")
    (out / "00005.png.d").mkdir()
    assert Frames().write(_frames(2, first=100), out) == 2
    assert sorted(p.name for p in out.iterdir()) == sorted(
        [*kept, "00000.png", "00001.png", "00005.png.d"]
    )
    assert all((out / name).read_text() == name for name in kept)
    assert read_image(out / "00001.png")[0, 0, 0] == 108
    assert read_image(out / "00001.png").shape == (30, 40, 3)


def test_a_new_folder_can_be_read_by_whom_the_system_lets(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    Frames().write(_frames(1), tmp_path / "out")
    Video().write(_frames(1), tmp_path / "a.mp4")
    (tmp_path / "plain.txt").write_text("")
    for mine, plain in (("out", "plain"), ("a.mp4", "plain.txt"), ("out/00000.png", "plain.txt")):
        assert (tmp_path / mine).stat().st_mode == (tmp_path / plain).stat().st_mode


def test_what_is_taken_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("")
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    (tmp_path / "empty").mkdir()
    for name in ("a.mp4", "full"):
        with pytest.raises(InputError, match="--overwrite"):
            film_of(tmp_path / name).check(tmp_path / name, False)
        film_of(tmp_path / name).check(tmp_path / name, True)
    for overwrite in (False, True):
        with pytest.raises(InputError, match="a file" if overwrite else "--overwrite"):
            Frames().check(tmp_path / "file", overwrite)
        for name in ("n" * 300, "n" * 300 + ".mp4", "a\0b", "\ud800" * 90):
            path = tmp_path / name
            with pytest.raises(InputError, match="a file or folder name"):
                film_of(path).check(path, overwrite)
        film_of(tmp_path / "empty").check(tmp_path / "empty", overwrite)

"""Frames of a video: the sharpest of each of N equal parts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from polyfield.errors import InputError, shown
from polyfield.files import one_line, read_start
from polyfield.memory import check_memory
from polyfield.quiet import quiet_log, quiet_stderr
from polyfield.scenes.sfm.sharpness import grey, sharpness

ENDINGS = (
    ".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv",
    ".3gp", ".ogv", ".flv",
)  # fmt: skip
"""Of files that are taken for a video."""
_LISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD")
"""How files begin that only name others, on the net too: ffmpeg would fetch them."""
_MEND = "check that it plays, or give a folder of photographs"


@dataclass(frozen=True)
class Frame:
    """A frame of a video."""

    number: int
    """From 0, in the order they are shown."""
    pixels: np.ndarray
    """uint8 [h w 3], upright."""
    sharpness: float


def sharpest_frames(path: Path, slots: int, count: Callable[[int, int], None]) -> Iterator[Frame]:
    """The sharpest frame of each of `slots` parts of equal length, in order; all of a short one.

    One frame is held at a time.

    Args:
        path: the video.
        slots: how many frames are wanted.
        count: called with how many frames are seen, and how many there are.

    Raises:
        InputError: not a video, or one that is damaged.
    """
    total = frames_in(path)
    parts = min(slots, total)
    best: Frame | None = None
    part = 0
    seen = 0
    for number, pixels in enumerate(_frames(path)):
        count(number, max(total, number + 1))
        seen = number + 1
        now = min(number * parts // total, parts - 1)
        if now > part and best is not None:
            yield best
            best = None
        part = now
        found = sharpness(grey(pixels))
        if best is None or found > best.sharpness:
            best = Frame(number, pixels, found)
    if best is not None:
        yield best
    if 2 * seen < total:
        raise InputError(
            f"a whole video at {shown(path)}", f"{seen} of its {total} frames", "copy it again"
        )


def frames_in(path: Path) -> int:
    """How many frames a video has.

    Raises:
        InputError: not a video.
    """
    import imageio_ffmpeg

    _program(path)
    try:
        with quiet_stderr(), quiet_log("imageio_ffmpeg"):
            total, _ = imageio_ffmpeg.count_frames_and_secs(str(path))
    except Exception as error:  # what ffmpeg says, in whatever class
        raise _unreadable(path, one_line(error)) from None
    if total < 1:
        raise InputError(f"a video at {shown(path)}", "no frames", _MEND)
    return int(total)


def _frames(path: Path) -> Iterator[np.ndarray]:
    """Every frame, upright, uint8 [h w 3]; ends early where the file is cut short.

    ffmpeg turns them, and sends each as PPM, which says its size.
    """
    command = [
        _program(path), "-v", "error", "-protocol_whitelist", "file,pipe",
        "-i", str(path.absolute()), "-map", "0:v:0", "-f", "image2pipe", "-c:v", "ppm", "-",
    ]  # fmt: skip
    # Its own session: a Ctrl-C is ours to answer.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        while (frame := _ppm(process.stdout)) is not None:
            yield frame
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def _ppm(stream: IO[bytes]) -> np.ndarray | None:
    """The next image of a stream; None at its end, or where the last is cut short."""
    head = [stream.readline(64) for _ in range(3)]
    if head[0] != b"P6\n" or head[2] != b"255\n":
        return None
    width, height = (int(number) for number in head[1].split())
    check_memory(f"frames of {width}x{height} pixels", width * height * 3 * 8, _MEND)
    data = stream.read(width * height * 3)
    if len(data) < width * height * 3:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _program(path: Path) -> str:
    """The ffmpeg to run on a file that may be a video.

    Raises:
        InputError: there is none, or the file can't be one.
    """
    import imageio_ffmpeg

    if read_start(path, 64, "a video").lstrip().startswith(_LISTS):
        raise InputError(f"a video at {shown(path)}", "a list of other files", _MEND)
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        raise InputError(
            "an ffmpeg that runs, for a video",
            "none on this machine",
            "install imageio-ffmpeg again, or set IMAGEIO_FFMPEG_EXE to a program",
        ) from None


def _unreadable(path: Path, text: str) -> InputError:
    for words in ("Invalid data found", "moov atom not found", "does not contain any stream"):
        if words in text:
            text = words.lower()
    return InputError(f"a video at {shown(path)}", f"one that can't be read ({text[-120:]})", _MEND)

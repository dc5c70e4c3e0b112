"""Frames as a film: H.264 in .mp4, which every player shows."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, ClassVar

import numpy as np

from polyfield.errors import InputError, WriteError
from polyfield.renderers.exports.writing import check_place, staged, writing

FPS = 30.0
"""Frames per second unless somebody says otherwise."""
FPS_RANGE = (1.0, 240.0)
MAX_SIDE = 16384
"""Longest side of an image that libx264 takes."""
_CRF = "10"
"""Constant rate factor: losses that are hard to see."""


@dataclass(frozen=True)
class Video:
    """A film of H.264 in yuv420p."""

    is_film: ClassVar[bool] = True
    fps: float = FPS
    """Frames per second, 1 to 240."""

    def __post_init__(self) -> None:
        low, high = FPS_RANGE
        if not low <= self.fps <= high:
            raise InputError(f"fps between {low:g} and {high:g}", f"{self.fps:g}", "change --fps")

    def check(self, path: Path, overwrite: bool) -> None:
        """Raise before any work if the place can't be used, or nothing can write films.

        Raises:
            InputError: something is there and no `overwrite`, or there is no ffmpeg.
        """
        _ffmpeg()
        check_place(path, overwrite)

    def write(self, frames: Iterator[np.ndarray], path: Path) -> int:
        """Write the film whole, or leave what was there.

        Args:
            frames: uint8 [h w 3], all of one size. Chroma is stored for 2x2 pixels, so an odd side
                loses its last row or column (a single one is doubled).
            path: Ends with .mp4.

        Returns:
            How many frames there were.

        Raises:
            InputError: no frames, frames larger than a film can be, or no ffmpeg.
            WriteError: the disk is full, ffmpeg died ...
        """
        first = next(frames, None)
        if first is None:
            raise InputError("at least one frame for a film", "none", "give more --frames")
        height, width = first.shape[:2]
        if max(height, width) > MAX_SIDE:
            raise InputError(
                f"frames of at most {MAX_SIDE} pixels a side for a film",
                f"{width}x{height}",
                "choose a smaller --size, or a folder for --out",
            )
        count = 0
        with staged(path) as staging:
            film = staging / f"film{path.suffix}"
            with _encoder(film, path, _even(first), self.fps) as pipe:
                for frame in itertools.chain([first], frames):
                    assert frame.shape == first.shape, (frame.shape, first.shape)
                    _send(pipe, _even(frame))
                    count += 1
            with writing(path):
                with open(film, "rb+") as file:
                    os.fsync(file.fileno())
                if not _is_whole(film):
                    raise WriteError(path, OSError("a film cut short"))
                os.replace(film, path)
        return count


def _ffmpeg() -> str:
    """The ffmpeg to run.

    Raises:
        InputError: there is none.
    """
    import imageio_ffmpeg

    try:
        program = str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        program = ""
    if not program or shutil.which(program) is None:
        raise InputError(
            "an ffmpeg that runs, for a film",
            program or "none on this machine",
            "install imageio-ffmpeg again, or set IMAGEIO_FFMPEG_EXE to a program",
        )
    return program


@contextlib.contextmanager
def _encoder(film: Path, path: Path, frame: np.ndarray, fps: float) -> Iterator[IO[bytes]]:
    """ffmpeg, which takes raw frames like `frame` until the block ends, and then ends well.

    imageio_ffmpeg's own writer never looks at how ffmpeg ended and lets its lines through to the
    terminal.

    Raises:
        InputError: there is no ffmpeg.
        WriteError: it doesn't start, or ends with an error.
    """
    height, width = frame.shape[:2]
    command = [
        _ffmpeg(), "-y", "-v", "error",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", _rate(fps),
        "-i", "-",
        "-an", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", _CRF, str(film.absolute()),
    ]  # fmt: skip
    # Its own session: a Ctrl-C is ours to answer. A file for its lines: a pipe could fill up.
    with tempfile.TemporaryFile() as log:
        with writing(path):
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        assert process.stdin is not None
        died = False
        try:
            try:
                yield process.stdin
            except _Died:
                died = True
            with contextlib.suppress(OSError):
                process.stdin.close()
            died = process.wait() != 0 or died
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(OSError):
                process.stdin.close()
        if died:
            log.seek(0)
            raise WriteError(path, _reason(log.read(), process.returncode))


class _Died(Exception):
    """ffmpeg no longer takes frames."""


def _send(pipe: IO[bytes], frame: np.ndarray) -> None:
    try:
        pipe.write(np.ascontiguousarray(frame).data)
    except OSError:
        raise _Died from None


def _reason(log: bytes, code: int) -> OSError:
    """Why ffmpeg ended, in a few words."""
    text = log.decode(errors="replace")
    full = os.strerror(errno.ENOSPC)
    if full in text:
        return OSError(errno.ENOSPC, full)
    if code < 0:
        return OSError(f"ffmpeg ended by signal {-code}")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = "".join(c if c.isprintable() else "?" for c in lines[-1])[:120] if lines else ""
    return OSError(f"ffmpeg ended with code {code}" + (f" ({last})" if last else ""))


def _even(frame: np.ndarray) -> np.ndarray:
    """A frame of even sides."""
    height, width = (n - n % 2 if n > 1 else n for n in frame.shape[:2])
    frame = frame[:height, :width]
    return frame.repeat(2 if height == 1 else 1, 0).repeat(2 if width == 1 else 1, 1)


def _rate(fps: float) -> str:
    """Frames per second as ffmpeg takes them without rounding, for instance 30000/1001."""
    return str(Fraction(fps).limit_denominator())


def _is_whole(film: Path) -> bool:
    """Whether a file is made of whole MP4 boxes, one of them the index, which is written last.

    Source: ISO/IEC 14496-12, section 4.2: a box begins with its length (32 bits, or 1 and then 64
    bits after the name) and four letters.
    """
    names = set()
    size = film.stat().st_size
    with open(film, "rb") as file:
        at = 0
        while at < size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length < 8 or at + length > size:
                return False
            names.add(head[4:8])
            at += length
    return {b"mdat", b"moov"} <= names

"""Frames into a video, by an ffmpeg whose words are kept and whose end is looked at."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from polyfield.files import write_whole

QUALITY = 10
"""H.264's constant rate factor: 0 loses nothing, 51 is the worst."""


def write_video(path: Path, frames: Iterator[np.ndarray], fps: int = 30) -> int:
    """Write an H.264 video that every player shows (yuv420p), whole or not at all.

    Args:
        path: Ends with .mp4.
        frames: uint8 [h w 3], all of one size. An odd side loses its last row or column.
        fps: Frames per second.

    Returns:
        How many frames there were.

    Raises:
        WriteError: the system doesn't let it.
    """
    count = 0

    def write(temporary: Path) -> None:
        nonlocal count
        with tempfile.TemporaryFile() as words:
            process = None
            try:
                for frame in frames:
                    height, width = (n - n % 2 if n > 1 else n for n in frame.shape[:2])
                    if process is None:
                        process = _started(temporary, (width, height), fps, words)
                    assert process.stdin is not None
                    try:
                        process.stdin.write(np.ascontiguousarray(frame[:height, :width]).data)
                    except OSError:  # it has ended, and says why
                        break
                    count += 1
                if process is not None:
                    _finish(process, words)
            finally:
                if process is not None:
                    _end(process)

    write_whole(path, write)
    return count


def _started(
    path: Path, size: tuple[int, int], fps: int, words: IO[bytes]
) -> subprocess.Popen[bytes]:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error"]
    command += ["-f", "rawvideo", "-vcodec", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{size[0]}x{size[1]}", "-r", str(fps), "-i", "-", "-an"]
    command += ["-vcodec", "libx264", "-pix_fmt", "yuv420p", "-crf", str(QUALITY), str(path)]
    # In a session of its own, because Ctrl-C is ours to answer.
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=words,
        start_new_session=True,
    )


def _finish(process: subprocess.Popen[bytes], words: IO[bytes]) -> None:
    """Let it write the rest; raise with its own words where it couldn't."""
    assert process.stdin is not None
    try:
        process.stdin.close()
    except OSError:
        pass
    code = process.wait()
    words.seek(0)
    said = " ".join(words.read(2000).decode(errors="replace").split())
    if code or said:
        raise RuntimeError(f"ffmpeg ended with {code}: {said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave no process behind, whatever happened."""
    if process.poll() is None:
        process.kill()
    if process.stdin is not None:
        try:
            process.stdin.close()
        except OSError:
            pass
    process.wait()

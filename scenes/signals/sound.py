"""A sound as a signal: seconds in, one value a channel out; WAV and FLAC files.

Read and written with soundfile (the extra `sound`), in the file's own subtype: 16 or 24 bits,
float ... A sample lies in the middle of its share of a second: sample i at (i + 0.5) / rate.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from polyfield import extras
from polyfield.devices import move
from polyfield.errors import InputError
from polyfield.files import plain_name, write_whole
from polyfield.quiet import quiet_stderr
from polyfield.scenes.base import Signal
from polyfield.scenes.demo.sound import RATE, demo_sound

DEMO = "demo"
"""What stands for the built-in sound where a file is asked for."""
ENDINGS = {".wav": "WAV", ".flac": "FLAC"}
"""Of files, and what soundfile calls the format."""
LONGEST = 1 << 28
"""Values in memory: a gigabyte of float32."""


@dataclass(frozen=True)
class SoundFormat:
    """How a sound is stored."""

    rate: int
    """Samples a second."""
    container: str
    """WAV or FLAC."""
    subtype: str
    """As soundfile calls it: PCM_16, FLOAT ..."""


class Sound(Signal):
    """The samples of a sound.

    Attributes:
        name: short name, for titles.
        samples: on the file's own scale, [n, c]; full scale is 1.
        scale: the largest absolute value, which `all` and `sample` divide by; 1 for silence.
        stored: how the file stores it.
        bounds: 0 and the duration in seconds.
        channels: values a sample.
    """

    def __init__(self, name: str, samples: np.ndarray, stored: SoundFormat) -> None:
        """Keep a sound.

        Args:
            name: short name, for titles.
            samples: [n, c], float32.
            stored: how it was stored, and is written.
        """
        self.name, self.stored = name, stored
        self.samples: Float[Tensor, "n c"] = torch.from_numpy(np.ascontiguousarray(samples))
        self.channels = samples.shape[1]
        self.scale = float(self.samples.abs().max()) or 1.0
        self.bounds = torch.tensor([[0.0], [self.duration]])

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.stored.rate

    def sample(
        self, n: int, generator: Generator
    ) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n c"]]:
        """Draw n samples uniformly, with replacement, and their values over `scale`."""
        index = torch.randint(len(self.samples), (n,), generator=generator)
        index = move(index, self.samples.device)
        return self._times(index)[:, None], self.samples[index] / self.scale

    def all(self) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n c"]]:
        """Every sample's time, and its values over `scale`."""
        return self.axes()[0][:, None], self.samples / self.scale

    def axes(self) -> list[Float[Tensor, "_n"]]:
        """Times of the samples, seconds."""
        return [self._times(torch.arange(len(self.samples), device=self.samples.device))]

    def _times(self, index: Tensor) -> Float[Tensor, "n"]:
        # In double: a float32 of many seconds has no room for a sample's share of one.
        return ((index.double() + 0.5) / self.stored.rate).float()

    def detail(self, kept: Tensor | None = None) -> Float[Tensor, "n"]:
        """Change from sample to sample; 1e-6 at least.

        Args:
            kept: Numbers of the samples that may be seen; between them values are interpolated.
        """
        values = self.samples.cpu() / self.scale
        if kept is not None and len(kept) < len(values):
            seen, places = kept.cpu().numpy(), np.arange(len(values))
            lines = [np.interp(places, seen, line[seen]) for line in values.T.numpy()]
            values = torch.from_numpy(np.stack(lines, -1)).float()
        if len(values) < 2:
            return torch.ones(len(values), device=self.samples.device)
        change = torch.gradient(values, dim=0)[0].square().sum(-1).sqrt().clamp(min=1e-6)
        return change.to(self.samples.device)

    def to(self, device: torch.device) -> Sound:
        """The same sound, its samples on another device."""
        other = copy.copy(self)
        other.samples = self.samples.to(device)
        return other


def open_sound(
    source: str | os.PathLike[str] | np.ndarray, begin: float = 0.0, length: float | None = None
) -> Sound:
    """Read a sound.

    Args:
        source: a WAV or FLAC file, or "demo" for the built-in sound.
        begin: where to begin, seconds.
        length: how much to read, seconds; None for the rest.

    Raises:
        InputError: no such file, not a sound, no samples there, or values that are not finite.
        MissingBackend: soundfile is not installed.
    """
    if isinstance(source, np.ndarray):
        raise InputError("a sound file", "an array", "write it as WAV first: its rate is needed")
    if str(source) == DEMO:
        samples = demo_sound()
        first, last = _part(len(samples), RATE, begin, length, DEMO)
        return Sound(DEMO, samples[first:last], SoundFormat(RATE, "WAV", "PCM_16"))
    path = Path(source)
    if not path.is_file():
        raise InputError("a sound file", f"none at {path}", "check the path")
    soundfile = _soundfile()
    try:
        with quiet_stderr(), plain_name(path) as name, soundfile.SoundFile(name) as file:
            stored = SoundFormat(file.samplerate, file.format, file.subtype)
            first, last = _part(file.frames, stored.rate, begin, length, str(path))
            if (last - first) * file.channels > LONGEST:
                raise InputError(
                    f"a sound of at most {LONGEST} values",
                    f"{(last - first) * file.channels} in {path}",
                    "read a part of it: --begin and --length in seconds",
                )
            file.seek(first)
            samples = file.read(last - first, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        text = " ".join(str(error).split())[-120:]
        raise InputError("a WAV or FLAC file", f"{path} ({text})", "export it again") from None
    if stored.container not in ENDINGS.values():
        raise InputError(
            f"a file of {', '.join(ENDINGS.values())}",
            f"{stored.container} in {path}",
            "convert it",
        )
    if len(samples) < last - first:
        raise InputError(
            f"{last - first} samples in {path}",
            f"{len(samples)}",
            "export it again: it is cut short",
        )
    if not np.isfinite(samples).all():
        raise InputError(f"finite samples in {path}", "NaN or infinity", "export it again")
    return Sound(path.stem, samples, stored)


def _part(
    frames: int, rate: int, begin: float, length: float | None, where: str
) -> tuple[int, int]:
    """First sample and the one after the last of a part in seconds."""
    first = round(begin * rate)
    last = frames if length is None else min(frames, first + round(length * rate))
    if last <= first:
        raise InputError(
            f"samples between {begin:g} s and the end of {where}",
            f"{frames / rate:g} s of sound",
            "change --begin or --length",
        )
    return first, last


def write_sound(path: Path, samples: Float[Tensor, "n c"], stored: SoundFormat) -> int:
    """Write a sound in its own subtype, whole or not at all.

    Args:
        path: Ends with .wav or .flac.
        samples: Full scale is 1.
        stored: Rate and subtype.

    Returns:
        How many values were beyond what the subtype holds, and clipped.

    Raises:
        InputError: another ending, or a subtype that the format does not have.
    """
    container = ENDINGS.get(path.suffix.lower())
    if container is None:
        raise InputError(f"a file of {', '.join(ENDINGS)}", path.name, "change the ending")
    soundfile = _soundfile()
    subtype = stored.subtype
    if not soundfile.check_format(container, subtype):
        raise InputError(
            f"a {container} of {', '.join(soundfile.available_subtypes(container))}",
            f"{subtype}, as the sound was stored",
            "write a .wav",
        )
    values = samples.detach().cpu().numpy()
    whole = subtype not in ("FLOAT", "DOUBLE")
    clipped = int((np.abs(values) > 1).sum()) if whole else 0
    values = np.clip(values, -1, 1) if whole else values

    def write(temporary: Path) -> None:
        with plain_name(temporary) as name:
            soundfile.write(name, values, stored.rate, format=container, subtype=subtype)

    write_whole(path, write)
    return clipped


def _soundfile() -> Any:
    return extras.load("soundfile", "soundfile", "sounds", "sound")

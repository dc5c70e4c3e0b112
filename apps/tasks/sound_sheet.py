"""A sound in the viewer: its waveform above its spectrogram, and a player."""

from __future__ import annotations

import io
import wave

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.renderers.colormaps import colored
from polyfield.renderers.signal_model import SignalModel
from polyfield.renderers.stages.sheet import ArraySheet
from polyfield.scenes.color import from_float
from polyfield.training.scores import log_spectrum

DECADES = 6.0
"""What a spectrogram shows below its loudest value."""
COLUMNS, ROWS = 2000, 400
"""Pixels of the waveform; the spectrogram has as many in its own rows."""
HEARD = 60.0
"""Seconds that are sent to a browser, at most."""
INK = (0.25, 0.55, 0.95)


class SoundSheet(ArraySheet):
    """Time goes from left to right; frequencies grow upwards.

    Args:
        model: Of a sound.
        rate: Samples a second.
    """

    def __init__(self, model: SignalModel, rate: int) -> None:
        super().__init__(2.0, 1.0)
        self._model, self._rate = model, rate

    def picture(self) -> Float[Tensor, "h w 3"]:
        """Both, one above the other."""
        samples = self._model.render().float()
        return torch.cat([_waveform(samples), _spectrogram(samples)])

    def sound(self) -> bytes:
        """Its beginning in 16 bits, whatever the run's own file has."""
        count = min(self._model.info.shape[0], int(HEARD * self._rate))
        values = from_float(((self._model.render()[:count] + 1) / 2).numpy(), np.uint16)
        packed = io.BytesIO()
        with wave.open(packed, "wb") as file:
            file.setnchannels(self._model.info.channels)
            file.setsampwidth(2)
            file.setframerate(self._rate)
            file.writeframes((values.astype(np.int32) - 32768).astype("<i2").tobytes())
        return packed.getvalue()


def _waveform(samples: Float[Tensor, "n c"]) -> Float[Tensor, "h w 3"]:
    """Least and greatest value of each column, of the first channel."""
    first = samples[:, 0]
    columns = min(COLUMNS, len(first))
    edges = torch.linspace(0, len(first), columns + 1).long()
    parts = [first[a:b] for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
    low = torch.stack([part.min() for part in parts])
    high = torch.stack([part.max() for part in parts])
    level = torch.linspace(1, -1, ROWS)[:, None]
    half = 1 / ROWS
    inked = (level >= low - half) & (level <= high + half)
    picture = torch.where(inked[..., None], torch.tensor(INK), torch.ones(3))
    return _wide(picture, COLUMNS)


def _spectrogram(samples: Float[Tensor, "n c"]) -> Float[Tensor, "h w 3"]:
    """Of all channels together, DECADES below the loudest."""
    spectrum = log_spectrum(samples).float()
    top = float(spectrum.max())
    shares = ((spectrum.flip(0) - top) / DECADES + 1).clamp(0, 1)
    picture = colored(shares, "magma")
    rows = (torch.arange(ROWS) * len(picture) / ROWS).long()
    return _wide(picture[rows], COLUMNS)


def _wide(picture: Float[Tensor, "h w 3"], columns: int) -> Float[Tensor, "h w2 3"]:
    """As many columns, the nearest ones."""
    count = picture.shape[1]
    return picture[:, (torch.arange(columns) * count / columns).long()]

"""WAV and FLAC files, good ones and damaged ones."""

from __future__ import annotations

import functools
import io
import struct

import numpy as np
from case import Entry, Fifo, Folder, Link
from hostile import damaged
from hypothesis import strategies as st


@functools.cache
def gallery() -> dict[str, bytes]:
    """Good sounds by name."""
    import soundfile

    rng = np.random.default_rng(0)
    found = {}
    for name, form, subtype, channels, n, rate in (
        ("mono.wav", "WAV", "PCM_16", 1, 400, 8000),
        ("stereo.wav", "WAV", "PCM_24", 2, 300, 44100),
        ("float.wav", "WAV", "FLOAT", 1, 300, 8000),
        ("double.wav", "WAV", "DOUBLE", 1, 300, 8000),
        ("bytes.wav", "WAV", "PCM_U8", 1, 300, 8000),
        ("law.wav", "WAV", "ULAW", 1, 300, 8000),
        ("many.wav", "WAV", "PCM_16", 8, 100, 8000),
        ("one.wav", "WAV", "PCM_16", 1, 1, 8000),
        ("none.wav", "WAV", "PCM_16", 1, 0, 8000),
        ("slow.wav", "WAV", "PCM_16", 1, 100, 1),
        ("mono.flac", "FLAC", "PCM_16", 1, 400, 8000),
        ("stereo.flac", "FLAC", "PCM_24", 2, 400, 48000),
        ("x.ogg", "OGG", "VORBIS", 1, 400, 8000),
        ("x.aiff", "AIFF", "PCM_16", 1, 400, 8000),
    ):
        stream = io.BytesIO()
        values = rng.uniform(-0.9, 0.9, (n, channels))
        soundfile.write(stream, values, rate, subtype, format=form)
        found[name] = stream.getvalue()
    for name, value in (
        ("nan", np.nan),
        ("inf", np.inf),
        ("big", 1e38),
        ("silent", 0.0),
        ("tiny", 1e-42),
    ):
        stream = io.BytesIO()
        soundfile.write(stream, np.full(200, value, np.float32), 8000, "FLOAT", format="WAV")
        found[f"{name}.wav"] = stream.getvalue()
    return found


@st.composite
def wav_changed(draw: st.DrawFn, content: bytes) -> bytes:
    """A WAV whose sizes, rate or channels are others."""
    data = bytearray(content)
    at = draw(st.sampled_from((4, 16, 24, 28, 40)))
    values = (0, 1, 7, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
    if draw(st.booleans()):
        data[at : at + 4] = struct.pack("<I", draw(st.sampled_from(values)))
    at = draw(st.sampled_from((20, 22, 32, 34)))
    data[at : at + 2] = struct.pack("<H", draw(st.sampled_from((0, 1, 3, 8, 85, 1024, 65535))))
    return bytes(data)


@st.composite
def sound(draw: st.DrawFn) -> tuple[str, Entry]:
    """The ending it has, and what is there."""
    name = draw(st.sampled_from(sorted(gallery())))
    content, ending = gallery()[name], name.rpartition(".")[2]
    how = draw(st.integers(0, 7))
    if how <= 1:
        return ending, draw(damaged(content))
    if how == 2 and ending == "wav":
        return ending, draw(wav_changed(content))
    if how == 3:
        return draw(st.sampled_from(("wav", "flac", "WAV", "mp3", ""))), content
    if how == 4:
        others = (Folder(), Fifo(), Link("nowhere"), Link("/dev/zero"), b"", b"RIFF", b"fLaC")
        return ending, draw(st.sampled_from(others))
    return ending, content

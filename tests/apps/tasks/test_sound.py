"""Sounds: formats, scores and what a user can get wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from polyfield.apps.cli import run as command
from polyfield.apps.tasks.sound import Sound, measure_sound
from polyfield.errors import InputError
from polyfield.scenes.signals.sound import SoundFormat, open_sound, write_sound


def _noise(count: int = 3000, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, (count, channels)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "subtype", "error"),
    [
        ("a.wav", "PCM_16", 2**-15),
        ("a.wav", "PCM_24", 2**-23),
        ("a.wav", "FLOAT", 0.0),
        ("a.flac", "PCM_16", 2**-15),
        ("a.flac", "PCM_24", 2**-23),
    ],
)
def test_a_sound_comes_back_in_its_own_subtype(
    name: str, subtype: str, error: float, tmp_path: Path
) -> None:
    path, samples = tmp_path / name, _noise()
    soundfile.write(path, samples, 12345, subtype=subtype)
    sound = open_sound(path)
    assert (sound.stored.rate, sound.stored.subtype, sound.channels) == (12345, subtype, 2)
    assert float((sound.samples - torch.from_numpy(samples)).abs().max()) <= error
    x, value = sound.all()
    assert x[0, 0] == pytest.approx(0.5 / 12345) and float(value.abs().max()) == 1
    assert float(x.max()) < float(sound.bounds[1, 0]) == pytest.approx(3000 / 12345)
    again = tmp_path / f"again{path.suffix}"
    assert write_sound(again, sound.samples, sound.stored) == 0
    assert torch.equal(open_sound(again).samples, sound.samples)
    assert soundfile.info(again).subtype == subtype


def test_a_sound_in_a_folder_whose_name_is_no_utf8(odd_folder: Path) -> None:
    stored = SoundFormat(8000, "WAV", "PCM_16")
    for name in ("a.wav", "a.flac"):
        write_sound(odd_folder / name, torch.zeros(9, 1), stored)
        assert len(open_sound(odd_folder / name).samples) == 9


def test_a_part_of_a_sound_and_what_is_clipped(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, _noise(), 1000, subtype="FLOAT")
    part = open_sound(path, begin=1.0, length=0.5)
    assert len(part.samples) == 500
    assert torch.equal(part.samples, open_sound(path).samples[1000:1500])
    loud = torch.tensor([[0.5], [1.5], [-2.0]])
    assert write_sound(tmp_path / "b.wav", loud, SoundFormat(8000, "WAV", "PCM_16")) == 2
    assert float(open_sound(tmp_path / "b.wav").samples.abs().max()) <= 1
    with pytest.raises(InputError, match="begin"):
        open_sound(path, begin=3.0)
    with pytest.raises(InputError, match="ending"):
        write_sound(tmp_path / "b.mp3", loud, SoundFormat(8000, "WAV", "PCM_16"))
    with pytest.raises(InputError, match="FLOAT"):
        write_sound(tmp_path / "b.flac", loud, SoundFormat(8000, "WAV", "FLOAT"))


def test_scores_of_a_known_error() -> None:
    target = torch.sin(torch.arange(8000) * 0.05)[:, None]
    measured = measure_sound(target * 0.9, target, "a")
    assert measured.scores["snr"] == pytest.approx(20.0, abs=1e-4)
    # Where there is more than the floor, all powers are 0.81 of what they should be.
    assert measured.scores["lsd"] < -np.log10(0.81) + 1e-6
    assert measured.examples[0].target.shape == measured.examples[0].prediction.shape
    same = measure_sound(target, target, "a")
    assert same.scores["lsd"] == 0 and same.scores["snr"] == float("inf")
    kept = torch.arange(0, 8000, 2)
    parted = measure_sound(target * 0.9, target, "a", kept)
    assert parted.scores["snr_heldout"] == pytest.approx(20.0, abs=0.1)


def test_the_first_frequency_scales_with_the_duration() -> None:
    task = Sound.presets()["siren"]
    short = replace(task, read=replace(task.read, length=0.5))
    found = []
    for one in (task, short):
        model = one.model(one.open("demo"))
        tree = model.describe()["field"]["Coordinate"]["network"]
        (network,) = tree.values()
        found.append(network["first_frequency"] / model.info.extent[0])
    assert found[0] == pytest.approx(found[1]) == pytest.approx(task.tone / 2)  # type: ignore[operator]


def test_a_tone_needs_a_network_of_sines() -> None:
    task = replace(Sound.presets()["hash"], tone=860.0)
    with pytest.raises(InputError, match="--tone"):
        task.model(task.open("demo"))


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        (np.full((100, 1), np.nan, np.float32), "NaN"),
        (np.zeros((0, 1), np.float32), "begin"),
    ],
)
def test_what_can_not_be_learned(
    samples: np.ndarray, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, 8000, subtype="FLOAT")
    assert command(["fit", "sound", str(path), "--steps", "1", "--out", str(tmp_path / "r")]) == 2
    assert word in capsys.readouterr().err and not (tmp_path / "r").exists()


def test_not_a_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF of something else")
    assert command(["fit", "sound", str(tmp_path / "a.wav"), "--out", str(tmp_path / "r")]) == 2
    assert "WAV or FLAC" in capsys.readouterr().err


def test_a_decoder_of_others_is_not_heard(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.wav").write_bytes(b"\xff\xfb\x90\x00" + bytes(range(256)) * 3)  # MP3, damaged
    assert command(["fit", "sound", str(tmp_path / "a.wav"), "--out", str(tmp_path / "r")]) == 2
    found = capfd.readouterr().err
    assert "WAV or FLAC" in found and found.count("\n") == 1


def test_silence_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((4000, 1), np.float32), 8000, subtype="PCM_16")
    words = ["fit", "sound", str(path), "--steps", "1", "--out", str(tmp_path / "r"), "--quiet"]
    assert command(words) == 0
    assert "silent" in capsys.readouterr().out

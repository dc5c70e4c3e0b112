"""Camera paths of the viewer: both forms are read back, and nothing leads out of the folder."""

import json
import math
from pathlib import Path

import pytest
import torch

from polyfield.apps.viewer.keyframes import (
    FORMS,
    MOST_KEYS,
    file_in,
    flight,
    frames_of,
    load_path,
    save_path,
    sized,
)
from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.path_formats import Source, read_camera_path
from polyfield.scenes.path_formats.source import field_of_view
from polyfield.scenes.viewpoints import looking_at

SIZE = (64, 36)


def _key(angle: float, fov: float) -> Camera:
    eye = 3 * torch.tensor([math.cos(angle), math.sin(angle), 0.4], dtype=torch.float64)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    pose = looking_at(eye, torch.zeros(3, dtype=torch.float64), up)
    focal = 18 / math.tan(math.radians(fov) / 2)
    return Camera(pose, *SIZE, focal, focal, 32, 18)


KEYS = [_key(0.0, 50), _key(1.0, 40), _key(2.5, 60)]


@pytest.mark.parametrize("form", FORMS)
def test_a_path_is_read_back(form: str, tmp_path: Path) -> None:
    source = Source(tmp_path / "a.json", KEYS[0])
    save_path(KEYS, 9, 24.0, form, source)
    found = read_camera_path(source)
    assert len(found.cameras) == 9 and found.fps == 24.0
    for ours, theirs in zip(flight(KEYS, 9), found.cameras, strict=True):
        assert torch.allclose(ours.pose, theirs.pose, atol=1e-9)
        assert field_of_view(ours) == pytest.approx(field_of_view(theirs))
        assert (ours.width, ours.height) == (theirs.width, theirs.height) == SIZE
    keys, path = load_path(source)
    assert len(keys) == 3 and len(path.cameras) == 9
    for ours, theirs in zip(KEYS, keys, strict=True):
        assert torch.allclose(ours.pose.double(), theirs.pose.double(), atol=1e-9)
        assert field_of_view(ours) == pytest.approx(field_of_view(theirs))


def test_a_path_goes_through_its_key_frames() -> None:
    views = flight(KEYS, 9)
    for index, key in zip((0, 4, 8), KEYS, strict=True):
        assert torch.allclose(views[index].pose, key.pose.double(), atol=1e-9)
        assert field_of_view(views[index]) == pytest.approx(field_of_view(key))
    assert field_of_view(views[2]) == pytest.approx(45)
    assert flight(KEYS[:1], 3) == [KEYS[0]] * 3


def test_key_frames_of_another_form_are_made_of_the_path(tmp_path: Path) -> None:
    """nerfstudio's older viewer wrote its matrices as text."""
    source = Source(tmp_path / "a.json", KEYS[0])
    save_path(KEYS, 40, 24.0, "nerfstudio", source)
    content = json.loads(source.path.read_text())
    content["keyframes"][0]["matrix"] = "[1, 0, 0]"
    source.path.write_text(json.dumps(content))
    keys, path = load_path(source)
    assert len(keys) == MOST_KEYS and len(path.cameras) == 40
    assert torch.equal(keys[-1].pose, path.cameras[-1].pose)


def test_the_keys_of_nerfstudios_viewer_are_there(tmp_path: Path) -> None:
    source = Source(tmp_path / "a.json", KEYS[0])
    save_path(KEYS, 49, 24.0, "nerfstudio", source)
    content = json.loads(source.path.read_text())
    assert content["default_transition_sec"] == pytest.approx(49 / 24 / 2)
    assert {"matrix", "fov", "aspect", "override_transition_enabled"} <= set(
        content["keyframes"][0]
    )
    assert len(content["keyframes"][0]["matrix"]) == 16


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".json", "..", "a\0b", "x" * 101])
def test_a_name_never_leads_out(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a name of letters"):
        file_in(tmp_path, name)


def test_names_and_numbers(tmp_path: Path) -> None:
    assert file_in(tmp_path, " my-path_2.json") == tmp_path / "my-path_2.json"
    assert frames_of(4.0, 30.0) == 120 and frames_of(0.001, 1.0) == 1
    with pytest.raises(InputError, match="key frames to save"):
        save_path([], 4, 24.0, "polyfield", Source(tmp_path / "a.json", KEYS[0]))
    with pytest.raises(InputError, match="one of polyfield"):
        save_path(KEYS, 4, 24.0, "other", Source(tmp_path / "a.json", KEYS[0]))


def test_a_view_with_a_lens_becomes_a_pinhole() -> None:
    odd = Camera(torch.eye(4), 40, 30, 25.0, 25.0, 19.0, 15.0, OpenCV(k1=0.1))
    key = sized(odd, SIZE)
    assert (key.width, key.height) == SIZE and key.lens == OpenCV()
    assert field_of_view(key) == pytest.approx(field_of_view(odd))

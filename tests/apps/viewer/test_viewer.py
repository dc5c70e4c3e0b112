"""The viewer on viser's own server, with plain websockets for browsers."""

import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import viser.transforms

from polyfield.apps.viewer.curve import Curve
from polyfield.apps.viewer.frames import DIAGONAL
from polyfield.apps.viewer.server import Server
from polyfield.apps.viewer.viewer import Place, Viewer
from polyfield.errors import InputError
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.renderers.stages.space import Space
from polyfield.scenes.cameras import Camera
from polyfield.scenes.images import read_image
from polyfield.training.scores import PSNR


@pytest.fixture(scope="module")
def model(small: ModuleType) -> RadianceModel:
    """A few steps from nothing: something is seen everywhere."""
    found, fit = small.scene(small.scene_run("hash", 20), small.CPU)
    small.go(fit, 20)
    assert isinstance(found, RadianceModel)
    return found


@pytest.fixture
def viewer(model: RadianceModel, small: ModuleType, tmp_path: Path) -> Iterator[Viewer]:
    cameras = small.CAPTURE.cameras("train")
    views = [cameras[i].resized(96, 96) for i in range(len(cameras))]
    server = Server(None, "test")
    try:
        yield Viewer(server, Space(model, views), Curve(PSNR, "step"), Place(tmp_path))
    finally:
        server.close()


def _at(browser: Any, viewer: Viewer, camera: Camera) -> None:
    """Look from there, by viser's own rotations: the picture must come out all the same."""
    turn = camera.pose[:3, :3].double().numpy() @ np.diag([1.0, -1.0, -1.0])
    wxyz = viser.transforms.SO3.from_matrix(turn).wxyz
    low, high = viewer.engine.stage.bounds.double()
    scale = DIAGONAL / (high - low).norm()
    position = ((camera.pose[:3, 3].double() - (low + high) / 2) * scale).tolist()
    fov = 2 * math.atan(camera.height / 2 / camera.fl_y)
    browser.look(wxyz.tolist(), position, fov, camera.width, camera.height)


def test_the_picture_at_a_training_pose_is_what_render_draws(
    viewer: Viewer, model: RadianceModel, browse: Callable[[int], Any], until: Any
) -> None:
    browser, view = browse(viewer._server.port), viewer.engine.stage.views[1]
    _at(browser, viewer, view)
    until(lambda: len(browser.pictures) == 3, viewer.tick, browser)
    drawn = model.render(view).color.clamp(0, 1).numpy()
    assert drawn.std() > 0.01  # not an empty picture
    error = np.square(browser.pictures[-1] / 255 - drawn).mean()
    assert -10 * math.log10(error) >= 35


def test_a_wrong_frame_is_seen(
    viewer: Viewer, model: RadianceModel, browse: Callable[[int], Any], until: Any
) -> None:
    """The test above can fail: the same pose in OpenGL's axes is another picture."""
    browser, view = browse(viewer._server.port), viewer.engine.stage.views[1]
    eye = viewer.engine.frame.eye(view)
    w, x, y, z = eye.wxyz
    browser.look((-x, w, z, -y), eye.position, eye.fov, view.width, view.height)
    until(lambda: len(browser.pictures) == 3, viewer.tick, browser)
    drawn = model.render(view).color.clamp(0, 1).numpy()
    assert -10 * math.log10(np.square(browser.pictures[-1] / 255 - drawn).mean()) < 35


def test_two_browsers_a_reload_and_one_that_goes(
    viewer: Viewer, browse: Callable[[int], Any], until: Any
) -> None:
    port, views = viewer._server.port, viewer.engine.stage.views
    first, second = browse(port), browse(port)
    _at(first, viewer, views[0])
    _at(second, viewer, views[2].resized(60, 80))
    until(lambda: len(first.pictures) == 3 == len(second.pictures), viewer.tick, first, second)
    assert first.pictures[-1].shape == (96, 96, 3) and second.pictures[-1].shape == (80, 60, 3)
    _at(first, viewer, views[1])
    until(lambda: viewer.engine.seats[0].drawing is not None or first.pictures[3:], viewer.tick)
    first.close()  # in the middle of a picture, maybe
    until(lambda: len(viewer.engine.seats) == 1, viewer.tick, second)
    again = browse(port)
    _at(again, viewer, views[0])
    until(lambda: len(again.pictures) == 3, viewer.tick, again, second)


def test_one_who_is_gone_before_anybody_looked(
    viewer: Viewer, browse: Callable[[int], Any], until: Any
) -> None:
    browser = browse(viewer._server.port)
    _at(browser, viewer, viewer.engine.stage.views[0])
    until(lambda: viewer.inbox.is_waiting, lambda: None, browser)
    browser.close()
    other = browse(viewer._server.port)
    _at(other, viewer, viewer.engine.stage.views[0])
    until(lambda: len(other.pictures) == 3 and len(viewer.engine.seats) == 1, viewer.tick, other)


@pytest.mark.parametrize("what", ["depth", "opacity", "normals"])
def test_what_is_shown(viewer: Viewer, browse: Callable[[int], Any], until: Any, what: str) -> None:
    browser = browse(viewer._server.port)
    _at(browser, viewer, viewer.engine.stage.views[0])
    until(lambda: len(browser.pictures) == 3, viewer.tick, browser)
    browser.click("Show", what)
    until(lambda: len(browser.pictures) == 6, viewer.tick, browser)
    assert viewer.engine.seats[0].screen.asked.look.what == what
    assert np.abs(browser.pictures[5].astype(float) - browser.pictures[2]).mean() > 1


def test_a_click_on_a_training_view_goes_there(
    viewer: Viewer, browse: Callable[[int], Any], until: Any
) -> None:
    browser, frame = browse(viewer._server.port), viewer.engine.frame
    _at(browser, viewer, viewer.engine.stage.views[0])
    until(lambda: len(browser.pictures) == 3, viewer.tick, browser)
    before = len(browser.of("SetCameraPositionMessage"))
    browser.click_node("/views/2")
    until(lambda: len(browser.of("SetCameraPositionMessage")) > before, viewer.tick, browser)
    wanted = frame.eye(viewer.engine.stage.views[2])
    camera = viewer._server.viser.get_clients()[0].camera
    assert np.array(camera.position) == pytest.approx(wanted.position, abs=1e-5)
    turn = np.array(camera.wxyz)
    assert abs(float(turn @ np.array(wanted.wxyz))) == pytest.approx(1, abs=1e-5)


def test_a_phone_sees_all_of_the_first_view(
    viewer: Viewer, browse: Callable[[int], Any], until: Any
) -> None:
    start = viewer.engine.stage.start
    phone, desk = browse(viewer._server.port), browse(viewer._server.port)
    eye = viewer.engine.frame.eye(start)
    for browser, width, height in ((phone, 60, 120), (desk, 160, 100)):
        browser.look(eye.wxyz, eye.position, eye.fov, width, height)
    until(lambda: len(viewer.engine.seats) == 2, viewer.tick, phone, desk)
    until(lambda: len(phone.pictures) > 0 < len(desk.pictures), viewer.tick, phone, desk)
    phone.read(0.2)
    fovs = [browser.of("SetCameraFovMessage")[-1]["fov"] for browser in (phone, desk)]
    wanted = math.tan(eye.fov / 2) * eye.width / eye.height
    assert math.tan(fovs[0] / 2) * 60 / 120 == pytest.approx(wanted, rel=1e-3)
    assert fovs[1] == pytest.approx(eye.fov, rel=1e-3)  # as all begin


@pytest.mark.parametrize("by", ["view", "Go there", "Preview"])
def test_a_phone_sees_all_of_where_it_is_taken(
    viewer: Viewer, browse: Callable[[int], Any], until: Any, by: str
) -> None:
    phone, view = browse(viewer._server.port), viewer.engine.stage.views[2]
    eye = viewer.engine.frame.eye(view)
    phone.look(eye.wxyz, (0.0, 0.0, 9.0), 0.3, 60, 120)
    until(lambda: len(phone.pictures) > 0, viewer.tick, phone)
    viewer._path.keys.append(view)
    viewer._path._show(0)
    phone.read(0.2)
    before = len(phone.of("SetCameraFovMessage"))
    if by == "view":
        phone.click_node("/views/2")
    else:
        phone.click(by)
    until(lambda: len(phone.of("SetCameraFovMessage")) > before, viewer.tick, phone)
    # Views and the path's pictures are squares.
    across = math.tan(phone.of("SetCameraFovMessage")[-1]["fov"] / 2) * 60 / 120
    assert across == pytest.approx(math.tan(eye.fov / 2), rel=1e-3)


def test_a_hidden_tab_has_its_panel(
    viewer: Viewer, browse: Callable[[int], Any], until: Any
) -> None:
    browser = browse(viewer._server.port)
    eye = viewer.engine.frame.eye(viewer.engine.stage.start)
    browser.look(eye.wxyz, eye.position, eye.fov, 0, 0)

    def is_shown() -> bool:
        return any(m.get("props", {}).get("label") == "Show" for m in browser.messages)

    until(is_shown, viewer.tick, browser)
    _at(browser, viewer, viewer.engine.stage.views[0])  # it is looked at
    until(lambda: len(browser.pictures) == 3, viewer.tick, browser)


def test_crop_snapshot_and_size(
    viewer: Viewer, browse: Callable[[int], Any], until: Any, tmp_path: Path
) -> None:
    browser = browse(viewer._server.port)
    _at(browser, viewer, viewer.engine.stage.views[0].resized(300, 300))
    until(lambda: len(browser.pictures) == 3, viewer.tick, browser)
    low, high = viewer.engine.stage.bounds.tolist()
    browser.click("x", [low[0], (low[0] + high[0]) / 2])
    until(lambda: len(browser.pictures) == 6, viewer.tick, browser)
    crop = viewer.engine.seats[0].screen.asked.look.crop
    assert crop is not None and crop[1][0] == pytest.approx((low[0] + high[0]) / 2)
    assert np.abs(browser.pictures[5].astype(float) - browser.pictures[2]).mean() > 1
    browser.click("Whole scene")
    until(lambda: len(browser.pictures) >= 9, viewer.tick, browser)
    assert viewer.engine.seats[0].screen.asked.look.crop is None
    browser.click("Best side / pixels", 200)
    until(lambda: browser.pictures[-1].shape == (200, 200, 3), viewer.tick, browser)
    browser.click("Snapshot")
    until(lambda: "00000.png" in browser.told, viewer.tick, browser)
    assert read_image(tmp_path / "snapshots" / "00000.png").shape == (200, 200, 3)


def test_a_camera_path_is_made_saved_and_loaded(
    viewer: Viewer, browse: Callable[[int], Any], until: Any, tmp_path: Path
) -> None:
    browser, panel = browse(viewer._server.port), viewer._path
    for index in (0, 1, 3):
        _at(browser, viewer, viewer.engine.stage.views[index])
        wanted = len(browser.pictures) + 3
        until(lambda wanted=wanted: len(browser.pictures) >= wanted, viewer.tick, browser)
        browser.click("Add key frame")
        until(lambda index=index: len(panel.keys) == min(index, 2) + 1, viewer.tick, browser)
    browser.click("Form", "nerfstudio")
    browser.click("File", "../out")
    browser.click("Save")
    until(lambda: "a name of letters" in browser.told, viewer.tick, browser)
    browser.click("File", "mine")
    browser.click("Save")
    until(lambda: (tmp_path / "paths" / "mine.json").is_file(), viewer.tick, browser)
    assert len(json.loads((tmp_path / "paths" / "mine.json").read_text())["camera_path"]) == 120
    keys = list(panel.keys)
    browser.click("Key frame", "2")
    browser.click("Delete")
    until(lambda: len(panel.keys) == 2, viewer.tick, browser)
    browser.click("Delete all")
    until(lambda: not panel.keys, viewer.tick, browser)
    browser.click("Load")
    until(lambda: len(panel.keys) == 3, viewer.tick, browser)
    for ours, theirs in zip(keys, panel.keys, strict=True):
        assert torch.allclose(ours.pose.double(), theirs.pose.double(), atol=1e-6)
    before = len(browser.of("SetCameraPositionMessage"))
    browser.click("Preview")
    until(lambda: len(browser.of("SetCameraPositionMessage")) > before + 3, viewer.tick, browser)
    browser.click("Preview")
    until(lambda: panel._playing is None, viewer.tick, browser)


def test_it_listens_here_alone_and_leaves_no_thread() -> None:
    before = threading.active_count()
    server = Server(None, "test")
    second = Server(None, "test")
    assert second.port != server.port
    assert f"127.0.0.1:{server.port}" in server.ssh_line and str(server.port) in server.address
    addresses = socket.getaddrinfo("127.0.0.1", server.port)
    assert addresses
    with pytest.raises(InputError, match="a free port for --port; got"):
        Server(server.port, "test")
    server.close()
    second.close()
    assert threading.active_count() == before

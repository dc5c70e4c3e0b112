"""A browser without a browser: viser's messages over a plain websocket."""

import importlib.util
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def _helper(name: str) -> ModuleType:
    """A module of tests/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def small() -> ModuleType:
    return _helper("small_runs")


class Browser:
    """What a browser sends and gets. `read` takes in what has come; nothing waits for long."""

    def __init__(self, port: int) -> None:
        import msgspec
        import viser
        import zstandard
        from websockets.sync.client import connect

        self._pack, self._unpack = msgspec.msgpack.encode, msgspec.msgpack.decode
        self._zstd = zstandard.ZstdDecompressor()
        protocol: Any = [f"viser-v{viser.__version__}"]
        self._socket = connect(
            f"ws://127.0.0.1:{port}", subprotocols=protocol, compression=None, max_size=None
        )
        self.messages: list[dict[str, Any]] = []
        self.pictures: list[np.ndarray] = []

    def send(self, kind: str, **values: Any) -> None:
        self._socket.send(self._pack({"type": kind, **values}))

    def look(self, wxyz: Any, position: Any, fov: float, width: int = 64, height: int = 48) -> None:
        """Say where the camera is."""
        self.send(
            "ViewerCameraMessage", wxyz=list(wxyz), position=list(position), fov=fov, near=0.01,
            far=1000.0, image_height=height, image_width=width, look_at=[0.0, 0.0, 0.0],
            up_direction=[0.0, 0.0, 1.0],
        )  # fmt: skip

    def click(self, label: str, value: Any = True) -> None:
        """A button, or another value of an input."""
        self.read()
        uuid = next(
            m["uuid"]
            for m in reversed(self.messages)
            if m["type"].startswith("Gui") and m.get("props", {}).get("label") == label
        )
        self.send("GuiUpdateMessage", uuid=uuid, updates={"value": value})

    def click_node(self, name: str) -> None:
        self.send(
            "SceneNodeClickMessage", name=name, instance_index=None, ray_origin=[0.0, 0.0, 0.0],
            ray_direction=[0.0, 0.0, 1.0], screen_pos=[0.5, 0.5], modifier=None, owner="",
        )  # fmt: skip

    def read(self, seconds: float = 0.0) -> None:
        while True:
            try:
                packed = self._socket.recv(timeout=seconds)
            except TimeoutError:
                return
            assert isinstance(packed, bytes)
            length = int.from_bytes(packed[8:16], "little")
            content = self._unpack(self._zstd.decompress(packed[16 : 16 + length]))
            for message in content["messages"]:
                self.messages.append(message)
                if message["type"] == "BackgroundImageMessage" and message["rgb_data"]:
                    self.pictures.append(np.asarray(Image.open(io.BytesIO(message["rgb_data"]))))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a kind that came so far."""
        return [message for message in self.messages if message["type"] == kind]

    @property
    def told(self) -> str:
        """All notifications."""
        return " ".join(str(m) for m in self.messages if "Notification" in m["type"])

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def browse() -> Iterator[Callable[[int], Browser]]:
    opened: list[Browser] = []

    def open_one(port: int) -> Browser:
        opened.append(Browser(port))
        return opened[-1]

    yield open_one
    for browser in opened:
        browser.close()


def until(done: Callable[[], bool], tick: Callable[[], Any], *browsers: Browser) -> None:
    """Tick and read until it is so; at most half a minute."""
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, "it never came"
        tick()
        for browser in browsers:
            browser.read(0.005)


@pytest.fixture(name="until")
def _until() -> Any:
    return until

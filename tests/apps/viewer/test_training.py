"""Browsers on a run that is training: no number depends on them; pause, stop and failures."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from polyfield.apps.tasks.scene import Scene
from polyfield.apps.viewer.server import Server
from polyfield.apps.viewer.training import TrainingViewer
from polyfield.fields.radiance import Radiance
from polyfield.tensors import load_tensors
from polyfield.training.fit import RunSpec, fit
from polyfield.training.loop import Progress
from polyfield.training.run import Run
from polyfield.training.task import Watcher
from polyfield.training.watchers.console import Reporter

QUIET = Reporter(quiet=True)


@pytest.fixture(scope="module")
def data(small: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = small.write_data(tmp_path_factory.mktemp("capture") / "data")
    return folder


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(None, "test")
    yield found
    found.close()


class Losses:
    """What each step's loss was, to the bit."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def watch(self, progress: Progress) -> None:
        self.seen.append(progress.loss)


class Restless(threading.Thread):
    """A browser that looks from elsewhere all the time, and does more by `also`."""

    def __init__(self, browser: Any, also: Callable[[Any, int], None] | None = None) -> None:
        super().__init__(daemon=True)
        self.browser, self.done, self.also = browser, threading.Event(), also
        self.start()

    def run(self) -> None:
        count = 0
        while not self.done.is_set():
            # Now and then it stands still for long enough to get better pictures.
            if count % 20 < 8:
                self.browser.look((0.0, 1.0, 0.0, 0.0), (0.01 * count, 0.0, 9.0), 0.9)
            self.browser.read(0.02)
            if self.also is not None:
                self.also(self.browser, count)
            count += 1

    def stop(self) -> None:
        self.done.set()
        self.join(10)
        assert not self.is_alive()


def _task(small: ModuleType, steps: int) -> Scene:
    run = small.scene_run("hash", steps)
    return Scene(Radiance(small.SMALL), run.sampler, run.objective, replace(run.fit, steps=steps))


def _fit(task: Scene, data: Path, out: Path, *more: Callable[..., Any]) -> tuple[Any, list[float]]:
    losses = Losses()

    def watchers(model: Any, opened: Any) -> list[Watcher]:
        return [losses, *(w for make in more for w in make(model, opened))]

    model = fit(task, RunSpec(str(data)), Run(out), QUIET, watchers=watchers)
    return model, losses.seen


def test_the_curve_is_the_same_with_and_without_a_browser(
    small: ModuleType, data: Path, server: Server, browse: Callable[[int], Any], tmp_path: Path
) -> None:
    task = _task(small, 60)
    plain, without = _fit(task, data, tmp_path / "without")
    viewer = TrainingViewer(server, task, Run(tmp_path / "with"), QUIET)
    browser = browse(server.port)
    shown = iter(["normals", "depth", "opacity", "color"] * 1000)

    def also(browser: Any, count: int) -> None:
        if count % 30 == 29 and any(m.get("props", {}).get("label") == "Show"
                                    for m in browser.messages):  # fmt: skip
            browser.click("Show", next(shown))

    restless = Restless(browser, also)

    class Slow:
        """So that there is time for many pictures between the steps."""

        def watch(self, progress: Progress) -> None:
            time.sleep(0.02)

    watched, seen = _fit(
        task, data, tmp_path / "with", viewer.watchers, lambda model, opened: [Slow()]
    )
    restless.stop()
    assert len(browser.pictures) > 5
    assert seen == without
    for ours, theirs in zip(
        plain.state_dict().values(), watched.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
    files = [tmp_path / name / "state.safetensors" for name in ("with", "without")]
    states = [load_tensors(file)[0] for file in files]
    for name in states[0]:
        if name != "progress":  # it has the seconds
            assert torch.equal(states[0][name], states[1][name]), name


def test_who_comes_before_the_first_step_is_told_to_wait(
    small: ModuleType,
    data: Path,
    server: Server,
    browse: Callable[[int], Any],
    until: Any,
    tmp_path: Path,
) -> None:
    task = _task(small, 3)
    viewer = TrainingViewer(server, task, Run(tmp_path / "run"), QUIET)
    browser = browse(server.port)
    until(lambda: browser.of("GuiMarkdownMessage"), lambda: None, browser)
    (told,) = browser.of("GuiMarkdownMessage")
    assert "comes by itself" in told["props"]["_markdown"]
    _fit(task, data, tmp_path / "run", viewer.watchers)

    def is_shown() -> bool:
        labels = [m["props"].get("label") for m in browser.messages if "props" in m]
        return "Pause training" in labels

    until(is_shown, lambda: None, browser)
    removed = [message["uuid"] for message in browser.of("GuiRemoveMessage")]
    assert removed == [told["uuid"]]


def test_paused_it_draws_and_a_stop_saves(
    small: ModuleType, data: Path, server: Server, browse: Callable[[int], Any], tmp_path: Path
) -> None:
    task, run = _task(small, 10**6), Run(tmp_path / "run")
    viewer = TrainingViewer(server, task, run, QUIET)
    browser, at = browse(server.port), []

    def also(browser: Any, count: int) -> None:
        if not any(m.get("props", {}).get("label") == "Pause training" for m in browser.messages):
            return
        if not viewer._control.paused and not at:
            browser.click("Pause training")
            time.sleep(0.1)
        elif viewer._control.paused:
            at.append(len(browser.pictures))
            if at[-1] > at[0] + 3:  # pictures come while training waits
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)

    losses = Losses()
    restless = Restless(browser, also)
    with pytest.raises(KeyboardInterrupt) as stopped:
        fit(
            task, RunSpec(str(data)), run, QUIET,
            watchers=lambda model, opened: [losses, *viewer.watchers(model, opened)],
        )  # fmt: skip
    restless.stop()
    assert "--resume goes on" in str(stopped.value.__notes__)
    assert run.state_meta()["step"] == len(losses.seen)
    assert viewer._control.paused


def test_a_closed_browser_ends_a_pause(
    small: ModuleType, data: Path, server: Server, browse: Callable[[int], Any], tmp_path: Path
) -> None:
    task = _task(small, 400)
    viewer = TrainingViewer(server, task, Run(tmp_path / "run"), QUIET)
    browser = browse(server.port)

    def also(browser: Any, count: int) -> None:
        if viewer._control.paused:
            browser.close()
            restless.done.set()
        elif any(m.get("props", {}).get("label") == "Pause training" for m in browser.messages):
            browser.click("Pause training")
            time.sleep(0.1)

    restless = Restless(browser, also)
    _fit(task, data, tmp_path / "run", viewer.watchers)
    restless.stop()
    assert viewer._control.paused and Run(tmp_path / "run").metrics()["steps"] == 400


def test_a_viewer_that_fails_ends_no_training(
    small: ModuleType,
    data: Path,
    server: Server,
    browse: Callable[[int], Any],
    until: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(Reporter):
        lines: list[str] = []

        def warn(self, line: str) -> None:
            self.lines.append(line)

    def stage(self: Any, model: Any, run: Any) -> Any:
        raise RuntimeError("no picture today")

    monkeypatch.setattr(Scene, "stage", stage)
    reporter, task = Broken(quiet=True), _task(small, 3)
    viewer = TrainingViewer(server, task, Run(tmp_path / "run"), reporter)
    browser = browse(server.port)
    until(lambda: browser.of("GuiMarkdownMessage"), lambda: None, browser)
    _fit(task, data, tmp_path / "run", viewer.watchers)
    assert [line for line in reporter.lines if "viewer" in line] == [
        "the viewer has stopped: RuntimeError: no picture today"
    ]
    # Nobody waits on for a picture.
    until(lambda: browser.of("GuiRemoveMessage"), lambda: None, browser)
    (told,), (removed,) = browser.of("GuiMarkdownMessage"), browser.of("GuiRemoveMessage")
    assert "comes by itself" in told["props"]["_markdown"] and removed["uuid"] == told["uuid"]

"""Helpers compile what a fit needs, once, and are gone when it begins."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from polyfield.apps.choices import configured, kind_named
from polyfield.apps.compiling import ahead
from polyfield.apps.tasks import KINDS
from polyfield.backends import dispatch, kernel_cache
from polyfield.devices import CPU
from polyfield.training.task import Task

pytestmark = pytest.mark.skipif(dispatch.why_no_numba() is not None, reason="no numba")


def _task(kind: str, preset: str = "hash") -> Task[Any, Any]:
    return configured(kind_named(kind), preset)


class Helper(subprocess.Popen):  # type: ignore[type-arg]
    """Stands for a process."""

    alive = 0
    words: list[dict[str, Any]] = []

    def __init__(self, *_: Any, **how: Any) -> None:
        assert how["env"]["NUMBA_CACHE_DIR"] == str(kernel_cache.place().parent)
        self.stdin = io.StringIO()
        Helper.alive += 1
        whole = self.stdin.close
        self.stdin.close = lambda: (  # type: ignore[method-assign]
            Helper.words.append(json.loads(self.stdin.getvalue())),
            whole(),
        )[1]

    def __del__(self) -> None:
        pass

    def kill(self) -> None:
        pass

    def wait(self, timeout: float | None = None) -> int:
        Helper.alive = max(0, Helper.alive - 1)
        return 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("POLYFIELD_AHEAD", "1")
    monkeypatch.setattr(dispatch, "_forced", ["auto"])
    monkeypatch.setattr(ahead.subprocess, "Popen", Helper)
    monkeypatch.setattr(Helper, "alive", 0)
    monkeypatch.setattr(Helper, "words", [])
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_once_for_a_field_and_never_beside_training(folder: Path, kind: str) -> None:
    task = _task(kind)
    with ahead.compiling_ahead(task, 3, CPU) as done:
        assert Helper.alive == 2 and [words["number"] for words in Helper.words] == [0, 1]
        done()
        assert Helper.alive == 0
    with ahead.compiling_ahead(task, 3, CPU):
        assert Helper.alive == 0
    with (
        ahead.compiling_ahead(_task(kind, "siren"), 2, CPU)
        if kind != "scene"
        else (ahead.compiling_ahead(_task(kind, "mlp"), 2, CPU))
    ):
        assert Helper.alive == 1
    assert Helper.alive == 0


def test_what_fails_is_not_marked(folder: Path) -> None:
    task = _task("image")
    with pytest.raises(KeyError), ahead.compiling_ahead(task, 2, CPU):
        raise KeyError
    assert Helper.alive == 0
    with ahead.compiling_ahead(task, 2, CPU):
        assert Helper.alive == 1


@pytest.mark.parametrize("why", ["one thread", "gpu", "reference", "off"])
def test_no_helper_where_none_is_of_use(
    folder: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "reference":
        monkeypatch.setattr(dispatch, "_forced", ["reference"])
    if why == "off":
        monkeypatch.setenv("POLYFIELD_AHEAD", "0")
    device = torch.device("cuda") if why == "gpu" else CPU
    with ahead.compiling_ahead(_task("image"), 1 if why == "one thread" else 2, device) as done:
        done()
    assert not Helper.words and not list(folder.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_made_up_data_has_the_parts_of_a_real_one(kind: str) -> None:
    for preset, task in kind_named(kind).presets().items():
        field = task.stand_in().field
        assert sum(1 for _ in field.parameters()), preset


@pytest.mark.parametrize("kind", ["image", "scene"])
def test_a_helper_runs_all_parts(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"kind": kind, "task": _task(kind).tree(), "number": 5}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(words)))
    ahead.main()
    assert capsys.readouterr() == ("", "")

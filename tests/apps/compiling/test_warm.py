"""`polyfield warm` compiles what a preset needs, in processes of its own."""

import json
import subprocess
from typing import Any

import pytest

import polyfield
from polyfield.apps import cli
from polyfield.apps.compiling import warm
from polyfield.apps.tasks import KINDS
from polyfield.backends import dispatch
from polyfield.errors import InputError

pytestmark = pytest.mark.skipif(dispatch.why_no_numba() is not None, reason="no numba")


def _done(code: int, words: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], code, "", words)


def test_a_process_for_each_pair(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def run(*_: object, **how: Any) -> subprocess.CompletedProcess[str]:
        asked.append(json.loads(how["input"]))
        return _done(0)

    monkeypatch.setattr(warm.subprocess, "run", run)
    assert cli.run(["warm", "--preset", "hash", "dense", "--threads", "1"]) == 0
    pairs = sorted((kind, name) for kind, name, _ in asked)
    assert ("scene", "hash") in pairs and ("sound", "dense") in pairs
    assert {kind for kind, _ in pairs} == set(KINDS)
    assert "scene hash: " in capsys.readouterr().out
    asked.clear()
    found = polyfield.warm(["sound"], ["all"], threads=1)
    assert len(found) == len(asked) > 2


def test_what_fails_in_a_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm.subprocess, "run", lambda *_, **__: _done(1, "trace\nMemoryError"))
    with pytest.raises(RuntimeError, match="image hash: MemoryError"):
        polyfield.warm(["image"], threads=1)


@pytest.mark.parametrize(
    ("kinds", "presets", "match"),
    [(["scene", "film"], ["hash"], "a kind"), (["image"], ["hsah"], "a preset: .*hash")],
)
def test_what_there_is_not(kinds: list[str], presets: list[str], match: str) -> None:
    with pytest.raises(InputError, match=match):
        polyfield.warm(kinds, presets, threads=1)


def test_nowhere_to_keep_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm.kernel_cache, "place", lambda: None)
    with pytest.raises(InputError, match="a place to keep compiled kernels.*NUMBA_CACHE_DIR"):
        polyfield.warm(["image"], threads=1)

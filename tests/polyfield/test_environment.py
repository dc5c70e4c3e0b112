"""Only a process of ours gets variables set."""

import os
import subprocess
import sys

import pytest

from polyfield import environment

IMPORT = """
import os
before = dict(os.environ)
import polyfield
polyfield.fit_scene, polyfield.fit_image, polyfield.load, polyfield.distill
import polyfield.apps.cli
print([name for name, value in os.environ.items() if before.get(name) != value])
"""


def test_importing_polyfield_changes_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment.HELPFUL:
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_what_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment.HELPFUL:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    environment.prepare()
    assert {name: os.environ[name] for name in environment.HELPFUL} == {
        **environment.HELPFUL,
        "GOMP_SPINCOUNT": "7",
    }

"""Kernels are compiled from nothing, by several processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polyfield.backends import dispatch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(dispatch.why_no_numba() is not None, reason="no numba"),
]


def test_two_processes_share_an_empty_cache(tmp_path: Path) -> None:
    code = (
        "import polyfield; polyfield.fit('image', 'demo', steps=1, threads=2,"
        " changes={'read.downscale': 4})"
    )
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "POLYFIELD_AHEAD": "1"}
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env=env, timeout=300)
    assert len(list(tmp_path.rglob("*.compiled"))) == 1
    assert list(tmp_path.rglob("*.nbc")) and not list(tmp_path.rglob("*.claim"))


def test_kernels_are_there_afterwards(tmp_path: Path) -> None:
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    words = [sys.executable, "-P", "-m", "polyfield", "warm", "sound", "--threads", "1", "--quiet"]
    subprocess.run(words, check=True, env=env, timeout=300)
    assert list(tmp_path.rglob("*hash_grid_numba.encode*.nbc"))

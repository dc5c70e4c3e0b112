"""What is said of packages that may be missing, seen through packages made for the test."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from polyfield.backends import dispatch, optional
from polyfield.backends.optional import Package, describe, load, on_cuda, why_not
from polyfield.errors import InputError, MissingBackend


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # noqa: ANN201
    """Makes a package with this code; on a machine that seems to have a GPU or not."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def make(code: str, cuda: bool, core: str = "") -> Package:
        name = f"polyfield_test_package_{len(names)}"
        names.append(name)
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        return Package("Tool", name, "pip install tool", "Primitive in a config", core or name)

    yield make
    for name in names:
        sys.modules.pop(name, None)


def test_a_package_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    absent = Package("Tool", "polyfield_no_such", "pip install tool", "Primitive in a config", "x")
    assert why_not(absent) == "not installed; pip install tool"
    with pytest.raises(InputError) as caught:
        load(absent)
    assert str(caught.value) == (
        "expected Tool for Primitive in a config; got not installed; pip install tool"
    )


def test_a_package_is_not_imported_without_a_gpu(package) -> None:  # type: ignore[no-untyped-def]
    """tiny-cuda-nn raises when it is: nothing of it may run."""
    there = package("raise AssertionError('imported')", cuda=False)
    assert "no CUDA device" in why_not(there)
    with pytest.raises(MissingBackend, match="NVIDIA GPU"):
        load(there)


def test_a_package_that_fails_to_import(package) -> None:  # type: ignore[no-untyped-def]
    broken = package("raise EnvironmentError('built for sm_75; not this\\nmore')", cuda=True)
    assert "can't be imported: built for sm_75, not this; pip install tool" in why_not(broken)
    with pytest.raises(MissingBackend) as caught:
        load(broken)
    assert "\n" not in str(caught.value) and str(caught.value).count("; ") == 2


def test_a_package_that_works(package) -> None:  # type: ignore[no-untyped-def]
    there = package("__version__ = '1.7'", cuda=True)
    assert why_not(there) is None and describe(there) == "1.7, for Primitive in a config"
    assert load(there).__version__ == "1.7"


def test_code_that_does_not_compile_or_is_missing(
    package,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core = package("raise RuntimeError('nvcc: error\\nmany lines')", cuda=True).module
    first = package("", cuda=True, core=core)
    monkeypatch.setattr(optional.shutil, "which", lambda name: None)
    assert "no nvcc" in why_not(first)
    monkeypatch.setattr(optional.shutil, "which", lambda name: "/usr/bin/nvcc")
    assert why_not(first) is None
    with pytest.raises(MissingBackend, match="doesn't compile: nvcc: error; pip"):
        load(first)
    second = package("", cuda=True, core=package("_C = None", cuda=True).module)
    with pytest.raises(MissingBackend, match="without its CUDA code"):
        load(second)


def test_tensors_elsewhere_are_told() -> None:
    with pytest.raises(MissingBackend, match="got one on cpu; use --device cuda"):
        on_cuda(optional.NERFACC, torch.zeros(1))


def test_every_package_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    rows = {row.name: row for row in dispatch.report()}
    for package in optional.PACKAGES:
        row = rows[package.module]
        assert not row.used and row.reason == why_not(package) and "; " in row.reason


def test_importing_everything_imports_none_of_them() -> None:
    code = "import polyfield.apps.tasks.scene, polyfield.apps.tasks.image, sys; " + "; ".join(
        f"assert {package.module!r} not in sys.modules" for package in optional.PACKAGES
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

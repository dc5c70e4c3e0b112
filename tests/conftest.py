import os
import signal
import sys
import types
from collections.abc import Generator
from pathlib import Path

import pytest
from beartype import BeartypeConf, beartype
from hypothesis import settings
from jaxtyping import install_import_hook

# Without a GPU, Triton's kernels run in its interpreter; it reads this when they are defined.
if not any(Path("/dev").glob("nvidia[0-9]*")):
    os.environ.setdefault("TRITON_INTERPRET", "1")

from polyfield import environment  # noqa: E402

# Before torch: as the command line does.
environment.prepare()

# A test's fit is too short for helpers that compile ahead; test_ahead.py has its own.
os.environ.setdefault("POLYFIELD_AHEAD", "0")

# In a job that a shell runs in the background Ctrl-C is ignored, and commands keep it so.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent

# Shapes and types are checked in tests. Modules of numba code are left out, because numba compiles
# those functions, and modules of torch ops, because torch reads their annotations itself. So are
# modules whose annotations a reader understands and the checker does not.
UNCHECKED = {
    "backends.simd",
    "backends.gemm",
    "backends.parallel",
    "encodings.kernels.factored",
    "backends.sine",
    "backends.exponential",
    "encodings.kernels.hash_grid",
    "encodings.kernels.nearest",
    "encodings.kernels.rbf",
    "encodings.kernels.sparse_grid",
    "encodings.kernels.spherical_harmonics",
    "fields.kernels.bank",
    "fields.kernels.grid_mlp",
    "fields.kernels.grid_radiance",
    "fields.kernels.mlp",
    "fields.kernels.modulate",
    "fields.kernels.sine_skip",
    "fields.kernels.waves",
    "fields.kernels.gabor",
    "fields.kernels.splines",
    "renderers.kernels.composite",
    "renderers.kernels.distortion",
    "scenes.formats.posed",
    "scenes.demo.image",
    "terminal",
}


ROOMS = ("polyfield", "encodings", "fields", "scenes", "renderers", "training", "apps")


def _checked() -> list[str]:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("polyfield.")
        for folder in ROOMS
        for path in (ROOT / folder).rglob("*.py")
        if path.stem != "__init__" and not path.stem.endswith(("_numba", "_triton"))
    ]
    return [f"polyfield.{name}" for name in names if name not in UNCHECKED]


# A whole number will do for a float; the hook wants the checker by its name.
_checker = types.ModuleType("polyfield_checker")
_checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # type: ignore[attr-defined]
sys.modules[_checker.__name__] = _checker
install_import_hook(_checked(), f"{_checker.__name__}.check")

# No deadlines: the first call of a kernel compiles it.
settings.register_profile("polyfield", deadline=None)
settings.load_profile("polyfield")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write what tests/golden compares with anew"
    )


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Skip, with the reason, a test of what needs a package or a device that isn't there."""
    from polyfield.errors import MissingBackend

    try:
        return (yield)
    except MissingBackend as error:
        pytest.skip(str(error))


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    """A folder whose name is no UTF-8."""
    folder = tmp_path / os.fsdecode(b"not \xff UTF-8")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("a file system that takes UTF-8 alone")
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real captures and images; a test without it is skipped."""
    given = os.environ.get("POLYFIELD_DATA")
    path = Path(given) if given else ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no real data at {path}: set POLYFIELD_DATA to its folder")
    return path

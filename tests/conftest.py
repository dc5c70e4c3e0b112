import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parent.parent

# Shapes and types are checked in tests. Kernels are left out: numba compiles those functions. So
# are modules whose annotations a reader understands and the checker does not: a protocol that isn't
# runtime-checkable, a sum of axes, different lengths under one name.
UNCHECKED = {"__init__", "fields.fit", "fields.base", "scenes.posed", "scenes.demo_picture"}


def _checked() -> list[str]:
    names = [
        f"{folder}.{path.stem}"
        for folder in ("encodings", "fields", "scenes", "renderers", "apps")
        for path in (ROOT / folder).glob("*.py")
    ]
    return [f"polyfield.{n}" for n in names if not {n, n.partition(".")[2]} & UNCHECKED]


install_import_hook(_checked(), "beartype.beartype")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real captures and pictures; a test without it is skipped."""
    given = os.environ.get("POLYFIELD_DATA")
    path = Path(given) if given else ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no real data at {path}: set POLYFIELD_DATA to its folder")
    return path

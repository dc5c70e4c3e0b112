"""What must be quick imports neither torch nor numba, and the PYTHONPATH trap is written down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "numba", "numpy", "tyro", "yaml")


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("POLYFIELD", "PYTHONPATH"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "code",
    [
        "import polyfield; polyfield.__version__; dir(polyfield)",
        "from polyfield.apps.cli import run; assert run([]) == 0",
        "from polyfield.apps.cli import run; assert run(['--help']) == 0",
        "from polyfield.apps.cli import run; assert run(['--version']) == 0",
        "from polyfield.apps.cli import run; assert run(['fit', '--help']) == 0",
        "from polyfield.apps.cli import run; assert run(['fitt']) == 2",
        "from polyfield.apps.cli import run; assert run(['fit', 'scean']) == 2",
    ],
)
def test_quick_answers_import_nothing_heavy(code: str) -> None:
    found = f"; import sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = _python(code + found)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_first_call_of_an_op_leaves_torchs_compiler_alone() -> None:
    code = (
        "import sys, torch, polyfield; polyfield.fit_scene\n"
        "from polyfield.encodings.kernels.spherical_harmonics import spherical_harmonics\n"
        "spherical_harmonics(torch.rand(4, 3), 2)\n"
        "print(hasattr(torch.ops.polyfield, 'spherical_harmonics'), 'torch._dynamo' in sys.modules)"
    )
    done = _python(code)
    assert done.stdout == "True False\n", done.stderr


def test_pythonpath_at_the_root_is_a_trap_and_said_so() -> None:
    done = _python("pass", PYTHONPATH=str(ROOT))
    assert done.returncode != 0, "PYTHONPATH at the root is no trap any more: mend CONTRIBUTING.md"
    assert "PYTHONPATH" in (ROOT / "CONTRIBUTING.md").read_text()


def test_every_public_name_is_there() -> None:
    code = "import polyfield; [getattr(polyfield, name) for name in polyfield.__all__]"
    done = _python(code)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    done = _python("import polyfield; polyfield.nothing")
    assert "AttributeError: module 'polyfield' has no attribute 'nothing'" in done.stderr

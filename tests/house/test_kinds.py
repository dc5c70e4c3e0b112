"""Nobody but tasks, readers and writers asks which kind of data it has; nobody asks for a class.

What is looked for: a comparison, a `match`, a look-up or an `isinstance` with the name of a kind,
of a layout, of a task or of a model; and `isinstance` on samplers or models outside their rooms.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from polyfield.apps.tasks import KINDS

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("polyfield", "encodings", "fields", "scenes", "renderers", "training", "apps")
OWN = (
    "apps/tasks/",
    "scenes/formats/",
    "scenes/signals/",
    "renderers/exports/",
    "renderers/films/",
)
"""Tasks, readers and writers."""
NAMES = {*KINDS, "radiance", "signal"}
MODELS = {"RadianceModel", "SignalModel", "Model"}
SAMPLERS = {
    "Sampler", "UniformSampler", "OccupancySampler", "NerfaccSampler", "Uniform", "OccupancyGrid",
    "NerfaccGrid", "Proposals", "ProposalSampler",
}  # fmt: skip
TASKS = {name.partition(":")[2] for name, _ in KINDS.values()}


def _files() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def _named(node: ast.expr) -> set[str]:
    """Classes by their bare names; `Image.Image` is another library's."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return {part.id for part in parts if isinstance(part, ast.Name)}


def _asks(tree: ast.AST) -> Iterator[int]:
    """Lines where the kind decides."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            words = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
            if any(isinstance(word, str) and word in NAMES for word in words):
                yield node.lineno
        elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
            if node.value.value in NAMES:
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("isinstance", "issubclass"):
                if _named(node.args[1]) & (MODELS | TASKS):
                    yield node.lineno


def _isinstances(tree: ast.AST, wanted: set[str]) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "isinstance":
                if _named(node.args[1]) & wanted:
                    yield node.lineno


def test_nobody_asks_for_the_kind() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in _files()
        if not str(path.relative_to(ROOT)).startswith(OWN)
        for line in _asks(ast.parse(path.read_text()))
    ]
    assert not found


@pytest.mark.parametrize(("names", "room"), [(MODELS, "renderers/"), (SAMPLERS, "renderers/")])
def test_no_isinstance_on_models_and_samplers_outside_their_room(
    names: set[str], room: str
) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in _files()
        if not str(path.relative_to(ROOT)).startswith(room)
        for line in _isinstances(ast.parse(path.read_text()), names)
    ]
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        'if kind == "image": pass',
        "isinstance(model, RadianceModel)",
        'x = tree["kind"] in ("scene",)',
    ],
)
def test_the_search_finds_what_it_is_for(code: str) -> None:
    assert list(_asks(ast.parse(code)))


def test_the_score_of_a_kind_is_named_in_tasks_alone() -> None:
    """PSNR, SNR and the like: in scores.py, where they are defined, and in tasks."""
    allowed = (*OWN, "training/scores.py", "apps/benchmarks/")
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _files()
        if not str(path.relative_to(ROOT)).startswith(allowed)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in ("psnr", "ssim", "snr", "lsd")
    ]
    assert not found


def test_few_files_lie_in_apps() -> None:
    assert len(list((ROOT / "apps").glob("*.py"))) <= 20

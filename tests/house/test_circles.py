"""No circle of files: whoever imports a file can be read after it, from the ground floor up.

Every import counts, at the top of a file, inside a function or for the type checker alone.
`from polyfield.a import b` points at the file b where there is one, else at the `__init__` of a,
which gives the name on. That Python runs the `__init__` of every package on the way to a module is
no edge: a package may list its own files, and only a file that asks its own package for a name
closes a circle. Modules found by name while the program runs (a kernel beside its op, an attribute
of the front door) are no imports.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("polyfield", "encodings", "fields", "scenes", "renderers", "training", "apps")


def files() -> dict[str, Path]:
    """Every module of the package by name; a package's `__init__` has the package's name."""
    found = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts if room == "polyfield" else ("polyfield", *parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(source: str, modules: Mapping[str, object]) -> set[str]:
    """The modules among `modules` that the source asks for, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            asked = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            asked = [
                name if (name := f"{node.module}.{alias.name}") in modules else node.module
                for alias in node.names
            ]
        else:
            continue
        found.update(name for name in asked if name in modules)
    return found


def circles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """The sets of files that reach one another (Tarjan's strongly connected components)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: list[str] = []

    def visit(name: str) -> Iterator[list[str]]:
        number[name] = low[name] = len(number)
        open_.append(name)
        for other in sorted(graph[name]):
            if other not in number:
                yield from visit(other)
                low[name] = min(low[name], low[other])
            elif other in open_:
                low[name] = min(low[name], number[other])
        if low[name] == number[name]:
            at = open_.index(name)
            circle = open_[at:]
            del open_[at:]
            if len(circle) > 1 or name in graph[name]:
                yield circle

    for name in sorted(graph):
        if name not in number:
            yield from visit(name)


def test_no_circle_of_files() -> None:
    modules = files()
    assert len(modules) > 100
    graph = {name: imported(path.read_text(), modules) for name, path in modules.items()}
    assert list(circles(graph)) == []


def test_a_circle_is_seen() -> None:
    """Through a function, through the type checker's imports, through a package's own list."""
    modules = dict.fromkeys(["p", "p.a", "p.b", "p.c", "p.d"])
    sources = {
        "p": "from p.d import Primitive\n",
        "p.a": "from p import b\n",
        "p.b": "def f():\n    import p.c\n",
        "p.c": "if TYPE_CHECKING:\n    from p.a import A\n",
        "p.d": "import os\nfrom p.a import A\n",
    }
    graph = {name: imported(source, modules) for name, source in sources.items()}
    assert graph["p.a"] == {"p.b"} and graph["p.d"] == {"p.a"}
    assert [sorted(circle) for circle in circles(graph)] == [["p.a", "p.b", "p.c"]]
    graph["p.d"] = imported("from p import Primitive\n", modules)
    assert ["p", "p.d"] in [sorted(circle) for circle in circles(graph)]

"""Command lines from dataclasses (tyro), with every mistake told in one line.

tyro reports mistakes in a box on stderr and exits. Here the box is caught, taken apart and raised
as an `InputError`, so that the command line speaks with one voice.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import field, make_dataclass
from typing import Any, TypeVar

import tyro

from polyfield.config import nearest
from polyfield.errors import InputError

Config = TypeVar("Config")

_MARKERS = (
    tyro.conf.AvoidSubcommands,  # which architecture is the preset's or the YAML file's choice
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.OmitArgPrefixes,
)


def parse(config: type[Config], arguments: Sequence[str], verb: str) -> Config:
    """Read a command line.

    Args:
        config: A dataclass; its docstring and attribute docstrings are the help.
        arguments: The words after the verb.
        verb: As typed, "fit scene".

    Raises:
        InputError: an unknown flag, a missing one, or a value of a wrong type.
        SystemExit: after printing the help that was asked for.
    """
    return _parse(config, arguments, verb, _MARKERS)


def parse_with_trees(
    config: type[Config], trees: dict[str, Any], arguments: Sequence[str], verb: str
) -> tuple[Config, dict[str, Any]]:
    """Read a command line of plain flags and of dotted flags that change config trees.

    Args:
        config: A dataclass of the plain flags.
        trees: Configs by name; `{"field": Radiance()}` gives `--field.position.levels` and so on.
        arguments: The words after the verb.
        verb: As typed.

    Returns:
        The plain flags, and the trees with the changes made.

    Raises:
        InputError: as `parse`.
    """
    plain = tyro.conf.OmitArgPrefixes[config]  # type: ignore[valid-type]
    changeable = [(name, type(tree), _fixed(tree)) for name, tree in trees.items()]
    names = {"__doc__": config.__doc__}
    command: Any = make_dataclass("Command", [("plain", plain), *changeable], namespace=names)
    found = _parse(command, arguments, verb, _MARKERS[:2])
    return found.plain, {name: getattr(found, name) for name in trees}


def _fixed(tree: Any) -> Any:
    """A dataclass field with this default."""
    return field(default_factory=lambda: tree)


def value_of(flag: str, arguments: Sequence[str], default: str | None = None) -> str | None:
    """The value of one flag, before the whole line can be understood; the last one counts."""
    found = default
    for index, word in enumerate(arguments):
        if word == flag and index + 1 < len(arguments):
            found = arguments[index + 1]
        elif word.startswith(f"{flag}="):
            found = word.partition("=")[2]
    return found


def _parse(
    config: Any, arguments: Sequence[str], verb: str, markers: tuple[Any, ...], default: Any = None
) -> Any:
    given = {} if default is None else {"default": default}

    def ask(words: Sequence[str]) -> Any:
        return tyro.cli(config, prog=f"polyfield {verb}", args=list(words), config=markers, **given)

    if any(word in ("-h", "--help") for word in arguments):
        return ask(arguments)
    box = io.StringIO()
    try:
        with _wide(), contextlib.redirect_stderr(box):
            return ask(arguments)
    except SystemExit as stop:
        if not stop.code:
            raise
    raise _mistake(box.getvalue(), _flags(ask), verb)


def _flags(ask: Any) -> list[str]:
    """Every flag there is, read off the help."""
    page = io.StringIO()
    with _wide(), contextlib.redirect_stdout(page), contextlib.suppress(SystemExit):
        ask(["--help"])
    # Boxes may stand side by side on a wide page: a flag follows a border, or two spaces.
    found = re.findall(r"(?:^|[│|]|\s\s)\s*(--\w[\w.-]+)", page.getvalue(), flags=re.MULTILINE)
    return sorted(set(found))


@contextlib.contextmanager
def _wide() -> Iterator[None]:
    """A terminal so wide that no line of a box is broken."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "2000"
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _mistake(box: str, flags: list[str], verb: str) -> InputError:
    """What tyro's box says, as one of our errors."""
    lines = [re.sub(r"[╭╮╰╯│─]", "", line).strip() for line in box.splitlines()]
    text = "\n".join(line for line in lines if line)
    ask = f"see `polyfield {verb} --help`"
    if found := re.search(r"Unrecognized options?:\s*([^\s,]+)", text):
        word = found[1]
        if not word.startswith("-"):
            return InputError(f"no more words for polyfield {verb}", repr(word), ask)
        return InputError(f"a flag of polyfield {verb}", word, _nearest_flag(word, flags, ask))
    if found := re.search(r"expected (.*?); got (.*?); (.*)", text):
        return InputError(found[1], found[2], found[3])
    if found := re.search(r"Missing value for argument '([^']+)'. Expected (\d+)", text):
        name = _spoken(found[1])
        wanted, got = ("a value", "none") if found[2] == "1" else (f"{found[2]} values", "fewer")
        return InputError(f"{wanted} for {name}", got, f"add what is missing after {name}")
    if found := re.search(r"Error parsing ([^:\s]+)[^:]*: (.*)", text):
        name = _spoken(found[1].split("/")[0])
        kind = re.search(rf"^{re.escape(name)} (.+)$", text, flags=re.MULTILINE)
        values = re.search(r"\[('.*')\]|'([^']*)'$|for (\S+)$", found[2])
        got = next(g for g in values.groups() if g) if values else found[2]
        wanted = kind[1].replace("{None}|", "").strip("{}") if kind else "another value"
        wanted = {"INT": "a whole number", "FLOAT": "a number"}.get(wanted, wanted)
        return InputError(f"{wanted} for {name}", got.replace("', '", " ").strip("'"), ask)
    if found := re.search(
        r"invalid choice '(.*)' for argument '(.*)'. Expected one of (.*)\.", text
    ):
        choices = found[3].strip("(),").replace("'", "")
        return InputError(f"one of {choices} for {found[2]}", found[1], ask)
    if found := re.search(r"Missing from [^\n]*:\n(\S+) ?(\S*)", text):
        name = found[1] if found[1].startswith("-") else f"{found[1]} after polyfield {verb}"
        return InputError(f"{name} {found[2]}".strip(), "none", ask)
    return InputError(f"a command line of polyfield {verb}", " ".join(text.split()), ask)


def _spoken(name: str) -> str:
    """A positional's inner name, "plain.data", as its metavar; a flag as it is."""
    return name if name.startswith("-") else name.rpartition(".")[2].upper()


def _nearest_flag(word: str, flags: list[str], otherwise: str) -> str:
    """The flag meant: the only one that ends so, else the one spelt most alike."""
    name = word.partition("=")[0].lstrip("-").replace("_", "-")
    ends = [flag for flag in flags if flag.endswith(f".{name}")]
    if len(ends) == 1:
        return f"did you mean {ends[0]}?"
    return nearest(f"--{name}", flags, otherwise)

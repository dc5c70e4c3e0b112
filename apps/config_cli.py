"""Command lines from dataclasses (tyro), with every mistake told in one line.

What is wrong with the words is found before tyro sees them (`flag_checks`). Its own errors, boxes
on stderr, are not read: what is left of them is one line that points to the help.

Values follow their flag as `--flag VALUE` or `--flag=VALUE`; names are given in full; the last of
a flag counts; all words after `--` are no flags. A leading ~/ of a path is the home folder.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import field, fields, make_dataclass
from typing import Any, TypeVar

import tyro

from polyfield.apps import flag_checks
from polyfield.apps.flag_checks import Flag
from polyfield.errors import InputError
from polyfield.ranges import check
from polyfield.wording import short

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
        InputError: an unknown flag, a missing one, a value of a wrong type or out of its range.
        SystemExit: after printing the help that was asked for.
    """
    flags = _plain_flags(config)
    found: Config = _parse(config, flags, arguments, verb, _MARKERS)
    check(found, names={flag.path: flag.name for flag in flags})
    return found


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
    flags = _plain_flags(config)
    of_trees = [
        flag
        for name, tree in trees.items()
        for flag in flag_checks.flags_of(type(tree), tree, name)
    ]
    found = _parse(command, flags + of_trees, arguments, verb, _MARKERS[:2])
    check(found.plain, names={flag.path: flag.name for flag in flags})
    for name in trees:
        check(getattr(found, name), name, {flag.path: flag.name for flag in of_trees})
    return found.plain, {name: getattr(found, name) for name in trees}


def positionals(config: Any, arguments: Sequence[str]) -> list[str]:
    """The words of a line that are neither flags nor their values, before all of it is understood.

    Args:
        config: A dataclass of the plain flags. A flag that isn't one of them takes one word, and
            the numbers that follow.
        arguments: The words after the verb.
    """
    words = flag_checks.take_apart(_plain_flags(config), arguments, None).words
    return [flag_checks.expanded(word) for word in words]


def value_of(flag: str, arguments: Sequence[str], default: str | None = None) -> str | None:
    """The value of one flag, before the whole line can be understood; the last one counts.

    A leading ~/ is the home folder, as in flags of paths.
    """
    found = default
    for index, word in enumerate(arguments):
        if word == "--":
            break
        name, equals, value = word.partition("=")
        ahead = arguments[index + 1 : index + 2]
        if name.replace("_", "-") != flag:
            continue
        if equals:
            found = flag_checks.expanded(value)
        elif ahead and ahead[0] != "--" and not flag_checks.is_flag(ahead[0]):
            found = flag_checks.expanded(ahead[0])
    return found


def refuse_foreign(
    arguments: Sequence[str], flag: str, own: type, every: Mapping[str, type]
) -> None:
    """Raise for a flag that another choice of `flag` has.

    Args:
        arguments: The words after the verb.
        flag: What chooses, "--method".
        own: The class that was chosen; its fields are flags.
        every: All that can be chosen, by name.

    Raises:
        InputError: it would change nothing here.
    """
    known = {f.name for f in fields(own)}
    for word in arguments:
        name = word.removeprefix("--").partition("=")[0].removeprefix("no-").replace("-", "_")
        others = [
            other
            for other, kind in every.items()
            if word.startswith("--") and name in {f.name for f in fields(kind)}
        ]
        if others and name not in known:
            raise InputError(
                f"{flag} {' or '.join(others)} for {word.partition('=')[0]}",
                next(n for n, kind in every.items() if kind is own),
                f"drop it, or change {flag}",
            )


def _fixed(tree: Any) -> Any:
    """A dataclass field with this default."""
    return field(default_factory=lambda: tree)


def _plain_flags(config: Any) -> list[Flag]:
    """The flags of a dataclass, and of those in it, without prefixes."""
    found = []
    for flag in flag_checks.flags_of(config):
        last = flag.name.lstrip("-").rpartition(".")[2]
        found.append(flag if flag.positional else flag.renamed(f"--{last}"))
    return found


def _parse(
    config: Any, flags: list[Flag], arguments: Sequence[str], verb: str, markers: tuple[Any, ...]
) -> Any:
    def ask(words: Sequence[str]) -> Any:
        return tyro.cli(config, prog=f"polyfield {verb}", args=list(words), config=markers)

    own = list(arguments)
    own = own[: own.index("--")] if "--" in own else own
    if any(word in ("-h", "--help") for word in own):
        return ask(["--help"])
    line = flag_checks.take_apart(flags, arguments, verb)
    flag_checks.check_words(flags, line, verb)
    words = flag_checks.rewritten(flags, line)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            return ask(words)
    except SystemExit as stop:
        if (ours := _ours(stop)) is not None:
            raise ours from None
    raise InputError(
        f"a command line of polyfield {verb}",
        short(" ".join(arguments)),
        f"see `polyfield {verb} --help`",
    )


def _ours(stop: BaseException) -> InputError | None:
    """The error of ours, raised by a config, that made tyro stop."""
    error: BaseException | None = stop
    while error is not None:
        if isinstance(error, InputError):
            return error
        error = error.__cause__ or error.__context__
    return None

"""YAML as a config needs it: words, numbers, lists and keys, of bounded size.

Dates, base 60 (`1:30`) and octal (`010`) stay words: in a config they are mistakes.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from polyfield.errors import InputError, shown

NODES = 20_000
"""Most values of a file, those behind aliases counted each time they are named."""
DEEPEST = 100
"""Most lists and keys inside each other."""
DIGITS = 309
"""Most digits of a whole number: what a double can hold."""

_TAG = "tag:yaml.org,2002:"
_KEPT = {f"{_TAG}{name}" for name in ("null", "bool", "merge")}
_TAGS = _KEPT | {f"{_TAG}{name}" for name in ("int", "float", "str", "seq", "map")}
_PYTHON = f"{_TAG}python/"
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0b[01_]+|0x[0-9a-fA-F_]+)$")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
    r"|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)


class _Loader(yaml.SafeLoader):
    """SafeLoader with bounds, and with fewer words that turn into something else."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str, foreign: bool = False) -> None:
        super().__init__(text)
        self.foreign = foreign
        self.depth = 0
        self.sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """One value with what is below it, counted.

        Raises:
            yaml.MarkedYAMLError: too deep, too many, or an alias of what holds it.
        """
        event = self.peek_event()
        mark = event.start_mark
        if self.depth > DEEPEST:
            raise yaml.MarkedYAMLError(None, None, f"more than {DEEPEST} levels", mark)
        if isinstance(event, yaml.AliasEvent) and event.anchor in self.anchors:
            if id(self.anchors[event.anchor]) not in self.sizes:  # it is not closed yet
                raise yaml.MarkedYAMLError(None, None, "a value that holds itself", mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node is None:
            return None
        if self.foreign and node.tag.startswith(_PYTHON):
            _make_plain(node)
        if id(node) not in self.sizes:
            self.sizes[id(node)] = self._size(node)
        if self.sizes[id(node)] > NODES or len(self.sizes) > NODES:
            raise yaml.MarkedYAMLError(None, None, f"more than {NODES} values", mark)
        return node

    def _size(self, node: yaml.Node) -> int:
        if node.tag not in _TAGS:
            what = f"the tag {node.tag[:60]}, which is not plain YAML"
            raise yaml.MarkedYAMLError(None, None, what, node.start_mark)
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
            below = [part for pair in node.value for part in pair]
        else:
            below = node.value if isinstance(node, yaml.SequenceNode) else []
        return 1 + sum(self.sizes[id(part)] for part in below)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number.

        Raises:
            yaml.MarkedYAMLError: it has too many digits.
        """
        if len(node.value) > DIGITS:
            what = f"a number of {len(node.value)} digits"
            raise yaml.MarkedYAMLError(None, None, what, node.start_mark)
        return super().construct_yaml_int(node)


_Loader.add_implicit_resolver(f"{_TAG}int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+.0123456789"))
_Loader.add_constructor(f"{_TAG}int", _Loader.construct_yaml_int)


def _make_plain(node: yaml.Node) -> None:
    """Keys, a list or a word in place of an object of Python's; a class or function is its name."""
    what = node.tag.removeprefix(_PYTHON)
    if isinstance(node, yaml.MappingNode):
        node.tag = f"{_TAG}map"
    elif isinstance(node, yaml.SequenceNode):
        node.tag = f"{_TAG}seq"
    else:
        node.tag = f"{_TAG}str"
        if what.startswith("name:"):
            node.value = what.removeprefix("name:")


def _check_keys(node: yaml.MappingNode) -> None:
    """Keys are words, each of them once."""
    seen: set[str] = set()
    for key, _ in node.value:
        if key.tag == f"{_TAG}merge":
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_TAG}str":
            got = f"{key.value!r}"[:40] if isinstance(key, yaml.ScalarNode) else "a list or keys"
            what = f"{got} for a key, which is no word"
            raise yaml.MarkedYAMLError(None, None, what, key.start_mark)
        if key.value in seen:
            raise yaml.MarkedYAMLError(None, None, f"{key.value[:40]!r} twice", key.start_mark)
        seen.add(key.value)


def parse_yaml(text: str, path: str, foreign: bool = False) -> Any:
    """What a text of YAML says.

    Args:
        text: decoded, without a byte order mark.
        path: its file, for messages.
        foreign: another program's, whose tags of Python objects stand for plain keys, lists and
            words; nothing is imported or made.

    Raises:
        InputError: not YAML, more than `NODES` values or `DEEPEST` levels, a key that is no word or
            stands twice, a tag that is not plain YAML's; the message names the line.
    """
    loader: _Loader | None = None
    try:
        loader = _Loader(text, foreign)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        anchor = (error.context or "").removesuffix("; first occurrence")
        found = anchor if error.problem == "second occurrence" else error.problem
        got = f"{shown(path)}{line}: {found}"
        raise InputError("YAML", got, "mend that line") from None
    except yaml.YAMLError as error:  # characters that YAML has no place for
        got = f"{shown(path)}: {' '.join(str(error).split())}"
        raise InputError("YAML", got, "give a text file of YAML") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # PyYAML's constructors of tags (`!!int word`) raise whatever comes.
        got = f"{shown(path)}: a value that its tag does not fit ({type(error).__name__})"
        raise InputError("YAML", got, "drop the tag") from None
    finally:
        if loader is not None:
            loader.dispose()

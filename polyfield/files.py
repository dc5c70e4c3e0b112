"""Files written whole or not at all, and text files read with a clear word on what is wrong."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from polyfield.errors import InputError

TEMPORARY = ".part-"
"""How the names of files that are not whole yet begin."""


def read_yaml(path: Path) -> Any:
    """What a YAML file says.

    Raises:
        InputError: no such file, or not YAML; the message names the line.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError("YAML", f"{path}{line}: {error.problem}", "mend that line") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("YAML", f"{path}: {one_line(error)}", "give a text file of YAML") from None
    except OSError as error:
        raise InputError(
            "a readable YAML file", f"{path}: {one_line(error)}", "check the path"
        ) from None


def read_json(path: Path) -> Any:
    """What a JSON file says.

    Raises:
        InputError: no such file, or not JSON; the message names the line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        what = f"{path}, line {error.lineno}: {error.msg}"
        raise InputError("JSON", what, "mend that line") from None
    except UnicodeDecodeError as error:
        raise InputError("JSON", f"{path}: {one_line(error)}", "give a text file of JSON") from None
    except OSError as error:
        raise InputError(
            "a readable JSON file", f"{path}: {one_line(error)}", "check the path"
        ) from None


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, tree: Any) -> None:
    """Write a JSON file whole or not at all. Numbers that are not finite become null."""
    write_text(path, json.dumps(_finite(tree), indent=2, allow_nan=False) + "\n")


def write_yaml(path: Path, tree: Any) -> None:
    """Write a YAML file whole or not at all, keys in their order."""
    write_text(path, yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=100))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk and rename it.

    The temporary name ends like `path`, so that image and video writers see their type.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _finite(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _finite(v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_finite(v) for v in tree]
    return tree if not isinstance(tree, float) or abs(tree) < float("inf") else None


def one_line(error: BaseException) -> str:
    """What an exception says, without line breaks."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())

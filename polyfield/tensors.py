"""Tensors to files and back: safetensors with one metadata key, `polyfield`, that holds JSON.

Nothing in such a file can run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from polyfield.errors import InputError
from polyfield.files import check_file, one_line, write_whole
from polyfield.json_text import parse_json

FORMAT_VERSION = 1
"""Version of the model files written here. Files of a higher version are refused."""

_KEY = "polyfield"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write tensors and a JSON description into one safetensors file, whole or not at all.

    Args:
        path: Where to.
        tensors: By name.
        meta: Anything JSON can say; `format_version` is added.
    """
    text = json.dumps({"format_version": FORMAT_VERSION, **meta})
    write_whole(path, lambda temporary: save_file(_apart(tensors), temporary, {_KEY: text}))


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, dense, no two of them in one storage; copied only where that takes a copy."""
    found: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        storage = plain.untyped_storage()
        if storage.data_ptr() in storages or storage.nbytes() != plain.nbytes:
            plain = plain.clone()
        storages.add(plain.untyped_storage().data_ptr())
        found[name] = plain
    return found


def load_tensors(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote: the tensors and the description.

    Raises:
        InputError: no such file, truncated, foreign, or written by a newer polyfield.
    """
    meta = load_meta(path)
    try:
        with safe_open(path, framework="pt", device=device) as file:
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except SafetensorError as error:
        raise _broken(path, error) from None


def load_meta(path: Path) -> dict[str, Any]:
    """Read the description alone; the tensors stay on disk.

    Raises:
        InputError: as `load_tensors`.
    """
    check_file(path, "a polyfield file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _broken(path, error) from None
    try:
        meta = parse_json(metadata[_KEY], str(path))
        version = meta["format_version"]
    except (KeyError, TypeError, InputError):
        raise InputError(
            "a file written by polyfield",
            f"{path}, safetensors of another program",
            "give a RUN folder or its model.safetensors",
        ) from None
    if type(version) is not int or version > FORMAT_VERSION:
        raise InputError(
            f"file format {FORMAT_VERSION} or older",
            f"{path} of format {version}",
            "update polyfield: pip install -U polyfield",
        )
    return dict(meta)


def _broken(path: Path, error: BaseException) -> InputError:
    return InputError(
        "a whole safetensors file",
        f"{path}, damaged or cut short ({one_line(error)})",
        "copy or train it again",
    )

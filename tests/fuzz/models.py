"""safetensors files with their header, metadata or numbers changed."""

from __future__ import annotations

import json
import struct
from typing import Any

from case import Entry
from hostile import changed, damaged, values
from hypothesis import strategies as st


def split(content: bytes) -> tuple[dict[str, Any], bytearray]:
    """Header and data of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])


def join(header: Any, data: bytes) -> bytes:
    """The other way."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def metadata(header: dict[str, Any]) -> dict[str, Any]:
    """What our one key says, however it is called."""
    return {k: _tree(v) for k, v in header.get("__metadata__", {}).items()}


def _tree(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def filled(content: Entry, name: str, word: bytes) -> bytes:
    """A file in which a tensor is nothing but this word."""
    assert isinstance(content, bytes)
    header, data = split(content)
    begin, end = header[name]["data_offsets"]
    data[begin:end] = (word * (1 + (end - begin) // len(word)))[: end - begin]
    return join(header, bytes(data))


@st.composite
def model(draw: st.DrawFn, content: bytes) -> bytes:
    """A model or a checkpoint that is not as it should be."""
    header, data = split(content)
    how = draw(st.integers(0, 9))
    if how <= 4:
        tree = draw(changed(metadata(header), most=2))
        if not isinstance(tree, dict):
            tree = {"polyfield": tree}
        try:
            header["__metadata__"] = {
                k: v if isinstance(v, str) else json.dumps(v) for k, v in tree.items()
            }
        except ValueError:  # thousands of digits
            header["__metadata__"] = {"polyfield": "9" * 5000}
        return join(header, bytes(data))
    names = sorted(name for name in header if name != "__metadata__")
    if how <= 6 and names:
        about = header[draw(st.sampled_from(names))]
        begin, end = about["data_offsets"]
        word = draw(
            st.sampled_from(_NUMBERS[about["dtype"]] if about["dtype"] in _NUMBERS else _RAW)
        )
        at = draw(st.integers(0, max(0, (end - begin) // len(word) - 1))) * len(word)
        if draw(st.booleans()):
            data[begin:end] = (word * (1 + (end - begin) // len(word)))[: end - begin]
        elif end > begin:
            data[begin + at : begin + at + len(word)] = word
        return join(header, bytes(data[: max(end for end in _ends(header))]))
    if how == 7 and names:
        _reshape(draw, header, draw(st.sampled_from(names)))
        return join(header, bytes(data))
    if how == 8:
        return draw(damaged(content))
    header[draw(st.sampled_from(["x", "field.x", *names]))] = draw(values)
    try:
        return join(header, bytes(data))
    except ValueError:
        return content[:100]


def _ends(header: dict[str, Any]) -> list[int]:
    return [about["data_offsets"][1] for name, about in header.items() if name != "__metadata__"]


def _reshape(draw: st.DrawFn, header: dict[str, Any], name: str) -> None:
    """Another shape of as many values, another type of as many bytes, another name, or gone."""
    about = header[name]
    how = draw(st.integers(0, 4))
    count = 1
    for size in about["shape"]:
        count *= size
    if how == 0:
        about["shape"] = [count]
    elif how == 1:
        about["shape"] = [1, *about["shape"]]
    elif how == 2:
        about["dtype"] = {"F32": "I32", "I64": "F64", "F64": "I64"}.get(about["dtype"], "U8")
    elif how == 3:
        header[name + ".other"] = header.pop(name)
    else:
        about["shape"] = list(reversed(about["shape"]))


_RAW = (b"\0", b"\xff", b"\x7f")
_NUMBERS = {
    "F32": [
        struct.pack("<f", x) for x in (float("nan"), float("inf"), 3e38, -3e38, 1e-40, 1e10, 0)
    ],
    "F64": [
        struct.pack("<d", x) for x in (float("nan"), float("inf"), 1e308, -1e308, -1.0, 0.0, 1e9)
    ],
    "I64": [struct.pack("<q", x) for x in (-1, 0, 2**63 - 1, -(2**63), 2**31)],
    "I32": [struct.pack("<i", x) for x in (-1, 0, 2**31 - 1, -(2**31))],
}

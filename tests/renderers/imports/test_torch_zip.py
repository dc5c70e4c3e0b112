"""Files of torch.save without torch's unpickler: what they say, and that nothing in them runs."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyfield.errors import LONGEST, InputError
from polyfield.renderers.imports.plain_pickle import MOST, Stored, read_pickle
from polyfield.renderers.imports.torch_zip import TorchFile


def _tree():
    torch.manual_seed(0)
    state = OrderedDict(weight=torch.randn(3, 4), count=torch.tensor(7))
    state._metadata = OrderedDict({"": {"version": 2}})
    base = torch.randn(6, 5)
    return {
        "step": 12345678901,
        "pipeline": state,
        "views": [base[1:4, ::2], base.t(), torch.empty(0), torch.zeros(2, 0)],
        "kinds": [torch.arange(3), torch.rand(2).half(), torch.tensor([True, False]),
                  torch.rand(2).double(), torch.arange(4, dtype=torch.uint8)],
        "lr": [np.float64(1e-3), np.float32(0.5), 0.1, None, True, "word", b"bytes", -3, 1 << 70],
        "parameter": torch.nn.Parameter(torch.rand(2)),
        "tuple": (1, (2, 3), ()),
    }  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("zip") / "step-000000001.ckpt"
    torch.save(_tree(), path)
    return path


def _tensors(file, value):
    """Every tensor of a tree, read."""
    if isinstance(value, Stored):
        return file.read(value)
    if isinstance(value, dict):
        return {key: _tensors(file, part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_tensors(file, part) for part in value)
    return value


def _equal(a, b):
    if isinstance(b, torch.Tensor):
        return torch.equal(a, b.detach()) and a.dtype == b.dtype
    if isinstance(b, dict):
        return list(a) == list(b) and all(_equal(a[key], b[key]) for key in b)
    if isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def test_it_says_what_torch_says(saved):
    with TorchFile(saved) as file:
        assert _equal(_tensors(file, file.tree), _tree())


def _zip(path: Path, pickled: bytes, **records: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        for name, content in records.items():
            file.writestr(f"archive/data/{name}", content)
    return path


def _refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        with TorchFile(path) as file:
            _tensors(file, file.tree)
    said = str(caught.value)
    assert said.count("\n") == 0 and len(said) <= LONGEST
    return said


class _Call:
    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


MARK = Path("/tmp") / f"polyfield-hostile-{os.getpid()}"


@pytest.mark.parametrize(
    "call",
    [
        _Call(os.system, f"touch {MARK}"),
        _Call(eval, f"open({str(MARK)!r}, 'w')"),
        _Call(exec, f"open({str(MARK)!r}, 'w')"),
        _Call(getattr, _Call(__import__, "os"), "system"),
        _Call(map, os.system, [f"touch {MARK}"]),
        _Call(open, str(MARK), "w"),
        _Call(torch.load, str(MARK)),
        _Call(pickle.loads, b"x"),
        [{"a": (1, _Call(os.remove, str(MARK)))}],
        _Call(OrderedDict, [("a", _Call(os.system, f"touch {MARK}"))]),
    ],
    ids=lambda call: "call",  # addresses of functions differ between processes
)
@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_a_call_is_refused_and_not_made(tmp_path, call, protocol):
    said = _refused(_zip(tmp_path / "a.ckpt", pickle.dumps({"step": call}, protocol)))
    assert not MARK.exists()
    assert "plain values" in said or "whole pickle" in said


@pytest.mark.parametrize(
    "body",
    [
        b"cos\nsystem\n(S'touch x'\ntR.",  # an old spelling
        b"cos\\X\nsystem\n.",  # an escape that Python no longer knows
        b"(S'touch x'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'touch x'\no.",  # OBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.",
        b"\x80\x02ccollections\nOrderedDict\n)\x81.",  # NEWOBJ
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x02]q\x00h\x00a.",  # a list that holds itself: read, for nobody walks it
        b"\x80\x02}h\x07.",  # a memo that is not there
        b"\x80\x02" + b"(" * 1000 + b".",
        b"\x80\x02)" + b"\x85" * 100_000 + b".",
        b"\x80\x02}" + b")" + b"\x85" * 50_000 + b"K\x01s.",  # a key nobody should hash
        b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".",
        b"\x80\x02\x8b\xff\xff\xff\x7f.",  # 2 GB announced
        b"\x80\x02X\xff\xff\xff\xff.",
        b"\x80\x02K\x01",
        b"",
        b".",
        b"I" + b"9" * 5000 + b"\n.",
    ],
    ids=lambda body: repr(body[:14]),
)
def test_other_machines_and_lengths(tmp_path, body):
    try:
        read_pickle(body, "a file")
    except InputError as error:
        assert str(error).count("\n") == 0
    else:
        assert body in (b"\x80\x02]q\x00h\x00a.", b"\x80\x02)" + b"\x85" * 100_000 + b".",
                        b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".")  # fmt: skip
    assert not Path("x").exists()


def _tensor_pickle(count=4, size=(2, 2), stride=(2, 1), offset=0, key="0", kind="FloatStorage"):
    """What torch writes for one tensor, with numbers of our own."""
    out = io.BytesIO()

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            return thing.parts if isinstance(thing, _Storage) else None

    parts = ("storage", getattr(torch, kind), key, "cpu", count)
    call = (_Storage(parts), offset, size, stride, False, OrderedDict())
    Pickler(out, 2).dump({"a": _Call(torch._utils._rebuild_tensor_v2, *call)})
    return out.getvalue()


class _Storage:
    def __init__(self, parts):
        self.parts = parts


def test_one_tensor_by_hand(tmp_path):
    numbers = struct.pack("<4f", 1, 2, 3, 4)
    with TorchFile(_zip(tmp_path / "a.ckpt", _tensor_pickle(), **{"0": numbers})) as file:
        assert _tensors(file, file.tree)["a"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 5},
        {"count": 1 << 40, "size": (1 << 20, 1 << 20), "stride": (1 << 20, 1)},
        {"count": 1 << 62},
        {"count": -1},
        {"size": (1 << 40,), "stride": (0,)},
        {"size": (5,), "stride": (1,)},
        {"offset": 3},
        {"offset": -1},
        {"size": (-2, 2)},
        {"stride": (-2, 1)},
        {"size": (2,), "stride": (1, 1)},
        {"key": "../../../etc/passwd"},
        {"key": "1"},
        {"kind": "BFloat16Storage"},
        {"size": (1 << 70, 1)},
        {"size": (0, 1 << 70)},
        {"size": (0, 1 << 39, 1 << 39), "stride": (1, 1, 1)},
        {"size": (1, 2), "stride": (1 << 70, 1)},
        {"size": (0, 2), "stride": (1 << 70, 1)},
        {"size": (0, 2), "offset": 1 << 70},
        {"size": (0, 2), "count": 1 << 70},
    ],
    ids=str,
)
def test_sizes_that_do_not_fit(tmp_path, wrong):
    numbers = struct.pack("<4f", 1, 2, 3, 4)
    _refused(_zip(tmp_path / "a.ckpt", _tensor_pickle(**wrong), **{"0": numbers}))


def test_bombs_and_other_zips(tmp_path):
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\x80\x02" + bytes(1 << 26))
    assert "compressed" in _refused(path)
    _zip(path, b"\x80\x02" + b"N0" * (MOST // 2))
    assert "4194304" in _refused(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("word/document.xml", b"<a/>")
    assert "data.pkl" in _refused(path)
    torch.save(_tree(), path, _use_new_zipfile_serialization=False)
    assert "zip" in _refused(path).lower()
    path.write_bytes(b"PK\3\4")
    _refused(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut(saved, tmp_path, part):
    content = saved.read_bytes()
    path = tmp_path / "a.ckpt"
    path.write_bytes(content[: int(len(content) * part)])
    _refused(path)


def test_a_changed_number_is_seen(saved, tmp_path):
    """Each record has a sum."""
    with zipfile.ZipFile(saved) as file:
        info = next(i for i in file.infolist() if i.filename.endswith("/data/0"))
    content = bytearray(saved.read_bytes())
    start = content.index(torch.arange(0).numpy().tobytes(), info.header_offset + 30)
    with zipfile.ZipFile(saved) as file:
        numbers = file.read(info)
    start = content.index(numbers, info.header_offset)
    content[start] ^= 1
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    assert "CRC" in _refused(path)


LOOSE = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@LOOSE
@given(data=st.data())
def test_changed_bytes_say_a_line_or_something(saved, tmp_path, data):
    content = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    try:
        with TorchFile(path) as file:
            _tensors(file, file.tree)
    except InputError as error:
        assert str(error).count("\n") == 0


@LOOSE
@given(data=st.data())
def test_changed_pickles_say_a_line_or_something(saved, data):
    with zipfile.ZipFile(saved) as file:
        name = next(n for n in file.namelist() if n.endswith("data.pkl"))
        content = bytearray(file.read(name))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    try:
        read_pickle(bytes(content), "a file")
    except InputError as error:
        assert str(error).count("\n") == 0


@LOOSE
@given(st.binary(max_size=200))
def test_any_bytes_at_all(content):
    try:
        read_pickle(content, "a file")
    except InputError as error:
        assert str(error).count("\n") == 0

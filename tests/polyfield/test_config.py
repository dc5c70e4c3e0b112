import dataclasses
import json
import os
import struct
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from polyfield import config, files, ranges
from polyfield.config import TAGGED, from_tree, to_tree
from polyfield.errors import InputError
from polyfield.ranges import Count, OneOf, Range
from polyfield.tensors import load_tensors, save_tensors


@dataclass(frozen=True)
class Grid:
    levels: int = 16
    growth: float | None = None


@dataclass(frozen=True)
class Waves:
    bands: int = 10
    kind: Literal["sin", "both"] = "both"


@dataclass(frozen=True)
class Head:
    width: int = 64
    layers: tuple[int, ...] = (64, 64)


@dataclass(frozen=True)
class Net:
    size: int
    position: Grid | Waves = Grid()
    other: Grid | Waves | None = None
    head: Head = Head()
    rates: dict[str, float] = field(default_factory=lambda: {"table": 1e-2, "network": 1e-3})
    parts: tuple[Grid | Waves, ...] = ()
    pair: tuple[float, float] = (0.9, 0.99)
    on: bool = True
    budget: float | Literal["auto"] = "auto"


@dataclass(frozen=True)
class Inner:
    levels: Annotated[int, Range(1, 2, below=True)] = 1


@dataclass(frozen=True)
class Ranged:
    levels: Annotated[int, Range(1, 32)] = 16
    growth: Annotated[float, Range(0, 100, above=True)] | None = None
    features: Annotated[int, OneOf((1, 2, 4))] = 2
    spread: Annotated[int, Range(3, 9, also=0)] = 0
    pair: Annotated[tuple[float, float], Range(0, 1, below=True)] = (0.9, 0.99)
    rates: Annotated[dict[str, float], Range(0, 1)] = field(default_factory=dict)
    many: Annotated[tuple[int, ...], Range(0, 9), Count(1, 4)] = (1,)
    inner: Inner = Inner()
    parts: tuple[Inner, ...] = ()
    free: float = 0.0
    budget: Annotated[float, Range(0, 9)] | Literal["auto"] = "auto"


@dataclass(frozen=True)
class Run:
    net: Annotated[Net, TAGGED]


WHOLE = st.integers(-(2**63), 2**63 - 1)
_ENCODINGS = st.one_of(
    st.builds(Grid, WHOLE, st.none() | st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(Waves, WHOLE, st.sampled_from(["sin", "both"])),
)
_NETS = st.builds(
    Net,
    size=WHOLE,
    position=_ENCODINGS,
    other=st.none() | _ENCODINGS,
    head=st.builds(Head, WHOLE, st.lists(WHOLE, max_size=3).map(tuple)),
    rates=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    parts=st.lists(_ENCODINGS, max_size=3).map(tuple),
    pair=st.tuples(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300)),
    on=st.booleans(),
    budget=st.floats(-1e300, 1e300) | st.just("auto"),
)


@given(_NETS)
def test_a_config_comes_back_from_json_and_yaml(net: Net) -> None:
    tree = to_tree(Run(net))
    assert from_tree(Run, json.loads(json.dumps(tree)), "run") == Run(net)
    assert from_tree(Run, yaml.safe_load(yaml.safe_dump(tree)), "run") == Run(net)


def test_the_tree_tags_unions_and_nothing_else() -> None:
    tree = to_tree(Run(Net(1, position=Grid(levels=8))))
    assert tree["net"]["Net"]["position"] == {"Grid": {"levels": 8, "growth": None}}
    assert tree["net"]["Net"]["head"] == {"width": 64, "layers": [64, 64]}


def test_a_name_alone_means_defaults() -> None:
    assert from_tree(Grid | Waves, "Waves") == Waves()
    assert from_tree(Grid | Waves, {"Waves": None}) == Waves()
    assert from_tree(Grid, {"Grid": {"levels": 3}}) == Grid(3)


def test_a_base_stands_for_what_the_tree_leaves_out() -> None:
    base = Net(7, position=Grid(4, 2.0), rates={"table": 1.0, "network": 2.0})
    tree = {"position": {"Grid": {"levels": 5}}, "rates": {"table": 3}}
    found = from_tree(Net, tree, base=base)
    assert found == dataclasses.replace(
        base, position=Grid(5, 2.0), rates={"table": 3.0, "network": 2.0}
    )
    assert from_tree(Net, {"position": "Waves"}, base=base).position == Waves()


def test_numbers_that_yaml_reads_as_words() -> None:
    assert from_tree(Grid, yaml.safe_load("growth: 1e-3")) == Grid(growth=1e-3)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"size": 1, "positon": {}}, ["position", "'positon'", "did you mean position?"]),
        ({"size": 1, "position": {"Gird": {}}}, ["Grid, Waves", "'Gird'", "did you mean Grid?"]),
        ({"size": 1, "position": {"Grid": {"levles": 1}}}, ["net.position", "levels?"]),
        ({"size": 1, "position": {"levels": 1}}, ["Grid, Waves", "net.position"]),
        ({"size": 1, "position": {"Grid": {}, "Waves": {}}}, ["one of Grid, Waves"]),
        ({"size": 1, "position": {"Grid": {"levels": "8"}}}, ["net.position.levels", "whole"]),
        ({"size": 1, "position": {"Grid": {"levels": True}}}, ["net.position.levels", "true"]),
        ({"size": 1, "position": {"Waves": {"kind": "cos"}}}, ["one of sin, both", '"cos"']),
        ({"size": 1, "pair": [1.0]}, ["net.pair", "2 values"]),
        ({"size": 1, "on": 1}, ["net.on", "true or false"]),
        ({"size": 1, "rates": {"table": "fast"}}, ["net.rates.table", "a number"]),
        ({"size": 1, "parts": ["Grid", "Cloud"]}, ["net.parts.1"]),
        ({"size": 1, "budget": "soon"}, ["net.budget", "a number or one of auto"]),
        ({}, ["net.size"]),
        ([], ["net"]),
    ],
)
def test_what_is_wrong_is_named(tree: object, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        from_tree(Net, tree, "net")
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def _deep() -> object:
    tree: object = 1
    for _ in range(100_000):
        tree = [tree]
    return tree


def _circle() -> object:
    tree: dict[str, object] = {}
    tree["a"] = tree
    return tree


def _bomb() -> object:
    tree: object = "x"
    for _ in range(40):
        tree = [tree] * 10
    return tree


HOSTILE: list[object] = [
    None, True, -1, 10**5000, -(10**5000), 1e308, float("inf"), float("nan"), "", "x" * 10**6,
    "nan", "1e999", "9" * 5000, "\x1b[31m\n", "\udcff", [], {}, [[], [1], {}], [1] * 10**5, {1: 2},
    {None: None}, {"x" * 10**5: 1}, {"\x1b[2J": 1}, {True: 1}, {"Grid": {"levels": 10**5000}},
    {"size": 1, "rates": {"\x1b\n" + "y" * 999: "z"}}, {"Grid": [1]}, {"Gird": 1}, {"Grid": 1},
    {"Grid": {"levels": [1]}}, date(2020, 1, 1), b"bytes", {1, 2}, _deep(), _circle(), _bomb(),
    {"size": _deep()}, {"a": _bomb()},
]  # fmt: skip


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Net)] + [""])
def test_hostile_trees_are_a_config_or_a_line(name: str) -> None:
    for tree in HOSTILE:
        try:
            net = from_tree(Net, {"size": 1, name: tree} if name else tree, "net")
        except InputError as error:
            text = str(error)
            assert len(text) <= 300 and text.isprintable(), text
            assert "net" in text and text.count("; got ") == 1
        else:
            assert isinstance(net, Net)
            ranges.check(net)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"levels": 10**9}, "expected levels between 1 and 32 at f.levels; got 1000000000; for"),
        ({"levels": 10**5000}, "got a number of about 5000 digits; for instance 16"),
        ({"growth": float("nan")}, "expected growth above 0 and at most 100 at f.growth; got nan"),
        ({"growth": "inf"}, "got inf; change f.growth"),
        ({"growth": 0}, "above 0"),
        ({"features": 3}, "expected features of 1, 2 or 4 at f.features; got 3; for instance 2"),
        ({"spread": 2}, "expected spread 0, or between 3 and 9 at f.spread; got 2"),
        ({"pair": [0.5, 1]}, "expected pair at least 0 and below 1 at f.pair.1; got 1.0"),
        ({"rates": {"table": -1}}, "expected rates between 0 and 1 at f.rates.table; got -1.0"),
        ({"many": [1] * 5}, "expected many of 1 to 4 values at f.many; got 5; change f.many"),
        ({"many": []}, "expected many of 1 to 4 values at f.many; got 0"),
        ({"many": [1] * 10**6}, "expected at most 4096 values for f.many; got 1000000"),
        ({"inner": {"levels": 0}}, "expected levels at least 1 and below 2 at f.inner.levels"),
        ({"parts": [{"levels": 1}, {"levels": 2}]}, "at f.parts.1.levels; got 2"),
        ({"free": 1e400}, "expected free that is finite at f.free; got inf"),
        ({"budget": -1}, "expected budget between 0 and 9 at f.budget; got -1.0"),
    ],
)
def test_numbers_keep_their_ranges(tree: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_tree(Ranged, tree, "f")
    assert message in str(caught.value)


def test_the_ends_of_ranges() -> None:
    tree = {"levels": 32, "growth": 100, "spread": 0, "pair": [0, 0.999], "budget": "auto"}
    assert from_tree(Ranged, tree) == Ranged(32, 100.0, spread=0, pair=(0.0, 0.999))
    ranges.check(Ranged())
    with pytest.raises(InputError, match="expected levels between 1 and 32; got 0; for instance"):
        ranges.check(Ranged(0))
    with pytest.raises(InputError, match="levels at least 1 and below 2 at --inner.levels"):
        ranges.check(Ranged(inner=Inner(7)), "f", {"f.inner.levels": "--inner.levels"})


def test_a_path_is_told_by_both_its_ends() -> None:
    with pytest.raises(InputError, match=r"at runs/aaa.*\.levels; got 0"):
        from_tree(Ranged, {"levels": 0}, f"runs/{'a' * 300}.yaml.field.position")


def test_tensors_come_back(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "whole": base,
        "view": base[1:],
        "turned": base.T,
        "half": torch.ones(3, dtype=torch.float16),
        "step": torch.tensor(5),
        "none": torch.empty(0, 3),
    }
    save_tensors(tmp_path / "a.safetensors", tensors, {"kind": "test", "bounds": [[0], [1]]})
    found, meta = load_tensors(tmp_path / "a.safetensors")
    assert meta == {"kind": "test", "bounds": [[0], [1]], "format_version": 1}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def _foreign(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("empty", b"", "cut short"),
        ("text", b"this is no model at all, it is a text file", "cut short"),
        ("foreign", _foreign(b'{"__metadata__":{"format":"pt"}}'), "another program"),
        ("garbled", _foreign(b'{"__metadata__":{"polyfield":"{"}}'), "another program"),
        (
            "newer",
            _foreign(b'{"__metadata__":{"polyfield":"{\\"format_version\\": 99}"}}'),
            "format 99",
        ),
    ],
)
def test_files_that_are_not_ours(tmp_path: Path, name: str, content: bytes, word: str) -> None:
    path = tmp_path / f"{name}.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=word) as caught:
        load_tensors(path)
    assert "\n" not in str(caught.value)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"x": torch.randn(100)}, {})
    content = path.read_bytes()
    for length in range(0, len(content), 13):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            load_tensors(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone.safetensors"):
        load_tensors(tmp_path / "gone.safetensors")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    files.write_json(path, {"a": 1})

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        files.write_whole(path, fail)
    assert files.read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["note.json"]


def test_written_files_have_the_usual_rights(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a", "x")
    (tmp_path / "b").write_text("x")
    assert os.stat(tmp_path / "a").st_mode == os.stat(tmp_path / "b").st_mode


def test_json_has_no_nan(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"psnr": [float("inf"), float("nan"), 1.5]})
    assert files.read_json(tmp_path / "a.json") == {"psnr": [None, None, 1.5]}


def test_malformed_text_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("field:\n  levels: 8\n levels: [")
    with pytest.raises(InputError, match="line 3"):
        files.read_yaml(tmp_path / "a.yaml")
    (tmp_path / "a.json").write_text('{\n"a": 1,\n"b"}')
    with pytest.raises(InputError, match="line 3"):
        files.read_json(tmp_path / "a.json")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"b\.yaml"):
        files.read_yaml(tmp_path / "b.yaml")


def test_yaml_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("!!python/object/apply:os.system ['touch owned']")
    with pytest.raises(InputError):
        files.read_yaml(tmp_path / "a.yaml")


def test_nearest_offers_only_what_is_near() -> None:
    assert config.nearest("Hash", ["hash", "mlp"], "no") == "did you mean hash?"
    assert config.nearest("zzz", ["hash", "mlp"], "no") == "no"

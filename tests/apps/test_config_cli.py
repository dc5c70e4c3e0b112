import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st

from polyfield.apps import config_cli, flag_checks
from polyfield.apps.tasks.image_presets import image_presets
from polyfield.apps.tasks.scene_presets import scene_presets
from polyfield.errors import InputError
from polyfield.ranges import Range


@dataclass(frozen=True)
class Grid:
    levels: Annotated[int, Range(1, 32)] = 16
    """Levels."""
    growth: float | None = None
    """Growth."""


@dataclass(frozen=True)
class Waves:
    bands: int = 10
    """Bands."""


@dataclass(frozen=True)
class Net:
    position: Grid | Waves = Grid()
    """Encoding."""
    rates: dict[str, float] = field(default_factory=lambda: {"table": 1e-2, "network": 1e-3})
    """Rates."""
    pair: tuple[float, float] = (0.9, 0.99)
    """Pair."""

    def __post_init__(self) -> None:
        if self.pair[0] > 1:
            raise InputError("a first number up to 1", str(self.pair[0]), "lower it")


@dataclass(frozen=True)
class Plain:
    """Do it."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """What."""
    out: Path
    """Where."""
    steps: int | None = None
    """How often."""
    bounds: tuple[float, float, float] | None = None
    """Box."""
    what: Literal["color", "depth"] = "color"
    """Which."""
    quiet: bool = False
    """Say nothing."""


@dataclass(frozen=True)
class Many:
    """Several."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = ()
    """Words."""
    of: tuple[int, ...] = (1,)
    """Numbers."""
    lend: bool = True
    """Whether."""
    pairs: tuple[Literal["a", "b"], ...] = ("a",)
    """Letters."""


_WORDS = (
    "d", "1", "-1", "1e3", "nan", "None", "True", "color", "", "-x", "-", "--", "=", "--=", "~/x",
    "--out", "--out=o", "--steps", "--steps=3", "--bounds", "--what", "--what=depth", "--quiet",
    "--quiet=True", "--net.pair", "--net.pair=1", "--net.rates.table", "--net.position.levels",
    "--net.position.growth=1", "--bounds=1", "-1,2", "é", "--é", "--out.x",
    "--steps=" + "9" * 5000,
)  # fmt: skip


def _parse(line: str) -> tuple[Plain, dict[str, object]]:
    return config_cli.parse_with_trees(Plain, {"net": Net()}, line.split(), "fit thing")


def test_flags_change_the_tree() -> None:
    line = "d --net.position.levels 4 --net.rates.table 3 --bounds -1 -1 -1.5 --out o --quiet"
    plain, trees = _parse(line)
    assert plain == Plain("d", Path("o"), bounds=(-1.0, -1.0, -1.5), quiet=True)
    assert trees == {"net": Net(Grid(4), {"table": 3.0, "network": 1e-3})}


def test_no_flags_leave_the_tree_as_it_is() -> None:
    net = Net(Waves(3), {"grid": 1.0})
    found = config_cli.parse_with_trees(Plain, {"net": net}, ["d", "--out", "o"], "fit thing")
    assert found == (Plain("d", Path("o")), {"net": net})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("d", "expected --out with a path; got none"),
        ("--out o", "expected DATA after polyfield fit thing; got none"),
        ("d --out o --steps x", "expected a whole number for --steps; got x"),
        ("d --out o --steps 3.5", "expected a whole number for --steps; got 3.5"),
        ("d --out o --steps", "expected a value for --steps; got none"),
        ("d --out o --stps 3", "got --stps; did you mean --steps?"),
        ("d --out o --levels=3", "got --levels; did you mean --net.position.levels?"),
        ("d --out o --net.position.levles 3", "did you mean --net.position.levels?"),
        ("d --out o --net.position.bands 3", "expected a flag of polyfield fit thing"),
        ("d --out o --zzzzz 3", "got --zzzzz; see `polyfield fit thing --help`"),
        ("d --out o extra", "expected no more words for polyfield fit thing; got 'extra'"),
        ("d --out o --bounds 1 2", "expected 3 numbers for --bounds; got 1 2"),
        ("d --out o --what dept", "expected one of color, depth for --what; got dept"),
        ("d --out o --net.pair 1", "expected 2 numbers for --net.pair; got 1"),
        ("d --out o --net.pair 2 1", "expected a first number up to 1; got 2.0; lower it"),
        ("d --out o --net.rates.table x", "expected a number for --net.rates.table; got x"),
        ("d --out o --steps 1e3", "expected a whole number for --steps; got 1e3; write 1000"),
        ("d --out o --steps=", "expected a whole number for --steps; got ''"),
        ("d --out= --steps 1", "expected a path for --out; got ''"),
        ("d --out --steps 1", "expected a value for --out; got none; add what is missing"),
        ("d --out -x", "expected a value for --out; got none; write --out=-x"),
        ("d --out o --bounds", "expected 3 numbers for --bounds; got none"),
        ("d --out o --bounds 1 2 3 4", "expected no more words for polyfield fit thing; got '4'"),
        ("d --out o --bounds 1 2 x", "expected 3 numbers for --bounds; got 1 2 x"),
        ("d --out o --quiet=yes", "expected no value for --quiet; got yes"),
        ("d --out o --quiet yes", "expected no more words"),
        ("d --out o --net.pair nan 1", "expected pair that is finite at --net.pair; got nan"),
        ("d --out o --net.position.growth inf", "expected growth that is finite"),
        (
            "d --out o --net.position.levels 33",
            "expected levels between 1 and 32 at --net.position",
        ),
        ("d --out o -q", "expected a flag of polyfield fit thing; got -q"),
        ("d --ou o", "got --ou; did you mean --out?"),
        ("d --out o -- e", "expected no more words for polyfield fit thing; got 'e'"),
        ("d --out o quiet", "got 'quiet'; did you mean --quiet?"),
        ("d --out o --tyro-print-completion bash", "expected a flag of polyfield fit thing"),
    ],
)
def test_mistakes_are_one_line_of_ours(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as caught:
        _parse(line)
    assert message in str(caught.value)
    assert str(caught.value).count("; got") == 1
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_help_is_printed_and_exits_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        _parse("--help")
    assert not stop.value.code
    page = capsys.readouterr().out
    assert "Do it." in page and "--net.position.levels" in page and "How often." in page


def test_a_value_can_be_read_ahead() -> None:
    words = ["a", "--preset", "x", "--preset=y", "--out"]
    assert config_cli.value_of("--preset", words) == "y"
    assert config_cli.value_of("--config", words, "none") == "none"
    assert config_cli.value_of("--out", words) is None


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("--steps=+5", {"steps": 5}),
        ("--steps 1 --steps 2", {"steps": 2}),
        ("--steps None", {"steps": None}),
        ("--bounds -1 -1e-1 -.5", {"bounds": (-1.0, -0.1, -0.5)}),
        ("--bounds=-1 2 3 --quiet", {"bounds": (-1.0, 2.0, 3.0), "quiet": True}),
        ("--bounds None --quiet", {"quiet": True}),
        ("--what=depth", {"what": "depth"}),
    ],
)
def test_values_come_as_they_always_did(line: str, changes: dict[str, Any]) -> None:
    plain, _ = _parse(f"d --out o {line}")
    assert plain == replace(Plain("d", Path("o")), **changes)
    # Where the words that belong to no flag stand makes no difference.
    assert _parse(f"--out o {line} -- d")[0] == plain


def test_underscores_and_words_that_begin_with_a_dash() -> None:
    words = ["--out=-x", "--net.position.levels=3", "--", "-d"]
    plain, trees = config_cli.parse_with_trees(Plain, {"net": Net()}, words, "fit thing")
    assert plain == Plain("-d", Path("-x")) and trees["net"].position == Grid(3)
    assert config_cli.parse(Many, ["--no_lend", "--of", "3", "4"], "do") == Many((), (3, 4), False)


@pytest.mark.parametrize("home", ["/home/me", "/elsewhere"])
@pytest.mark.parametrize("line", [["--out=~/x", "~/d"], ["--out", "~/x", "--", "~/d"]])
def test_a_tilde_is_the_home_folder(
    home: str, line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", home)
    plain = config_cli.parse(Plain, line, "fit thing")
    assert (plain.data, plain.out) == (f"{home}/d", Path(home, "x"))
    assert config_cli.value_of("--out", line) == f"{home}/x"
    assert config_cli.positionals(Plain, line) == [f"{home}/d"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a b --quiet c --steps 4", ["a", "b", "c"]),
        ("--bounds 1 2 3 d --steps=3 e", ["d", "e"]),
        ("--net.pair 1 2 d", ["d"]),
        ("--net.position.levels 3 d", ["d"]),
        ("--net.position.levels=3 d", ["d"]),
        ("--net.kind cos d -- -e", ["d", "-e"]),
        ("--unknown --out o d", ["d"]),
        ("--out", []),
    ],
)
def test_words_that_are_no_flags_are_found_ahead(line: str, words: list[str]) -> None:
    assert config_cli.positionals(Plain, line.split()) == words


def test_a_line_of_any_words_ends_in_a_line_of_at_most_300_characters() -> None:
    long = "9" * 5000
    odd = ["d", "--out", "o", "--steps", "--net.pair", long, "x" * 5000, "\x1b[31m", "é\udcff", ""]
    for word in [long, f"--{long}", f"--{long}={long}", f"-{long}", "\x1b[31m", "\udcff", ""]:
        for line in ([word], ["d", "--out", "o", word], *([*odd[:4], word], ["d", "--what", word])):
            with pytest.raises(InputError) as caught:
                config_cli.parse_with_trees(Plain, {"net": Net()}, line, "fit thing")
            text = str(caught.value)
            assert len(text) <= 300 and text.isprintable() and text.count("; got ") == 1, text


@given(st.lists(st.sampled_from(_WORDS), max_size=6))
def test_whatever_the_words_there_is_a_result_or_a_line(words: list[str]) -> None:
    try:
        plain, _ = config_cli.parse_with_trees(Plain, {"net": Net()}, words, "fit thing")
    except InputError as error:
        text = str(error)
        assert len(text) <= 300 and text.isprintable() and " got ;" not in text
        assert "a command line of" not in text, "what tyro alone refused"
    else:
        assert isinstance(plain.data, str) and isinstance(plain.out, Path)


def test_what_tyro_alone_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_cli.flag_checks, "check_words", lambda *_: None)
    with pytest.raises(InputError, match="see `polyfield fit thing --help`") as caught:
        _parse("--out o")
    assert "got --out o;" in str(caught.value)


def test_lists_and_several_words() -> None:
    found = config_cli.parse(Many, "a b --of 1 2 --pairs".split(), "do")
    assert found == Many(("a", "b"), (1, 2), pairs=())
    with pytest.raises(InputError, match="values, each a whole number, for --of; got 1 x"):
        config_cli.parse(Many, "--of 1 x".split(), "do")
    with pytest.raises(InputError, match="expected of of 0 to 1024 values at --of; got 2000"):
        config_cli.parse(Many, ["--of", *["1"] * 2000], "do")


@pytest.mark.parametrize("name", [*scene_presets(), *image_presets()])
def test_the_flags_are_those_of_the_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for presets in (scene_presets(), image_presets()):
        preset = presets.get(name)
        if preset is not None:
            found = {flag.name for flag in flag_checks.flags_of(type(preset), preset)}
            page = _page(preset, capsys)
            assert found == set(re.findall(r"(?:^|[│|]|\s\s)\s*(--\w[\w.-]+)", page, re.M))


def _page(preset: object, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "2000")
        markers = config_cli._MARKERS[:2]
        tyro.cli(type(preset), default=preset, args=["--help"], config=markers)
    return capsys.readouterr().out

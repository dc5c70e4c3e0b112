from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro

from polyfield.apps import config_cli
from polyfield.errors import InputError


@dataclass(frozen=True)
class Grid:
    levels: int = 16
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
        ("d", "expected --out PATH; got none"),
        ("--out o", "expected DATA after polyfield fit thing; got none"),
        ("d --out o --steps x", "expected a whole number for --steps; got x"),
        ("d --out o --steps 3.5", "expected a whole number for --steps; got 3.5"),
        ("d --out o --steps", "expected a value for --steps; got none"),
        ("d --out o --stps 3", "got --stps; did you mean --steps?"),
        ("d --out o --levels=3", "got --levels=3; did you mean --net.position.levels?"),
        ("d --out o --net.position.levles 3", "did you mean --net.position.levels?"),
        ("d --out o --net.position.bands 3", "expected a flag of polyfield fit thing"),
        ("d --out o --zzzzz 3", "got --zzzzz; see `polyfield fit thing --help`"),
        ("d --out o extra", "expected no more words for polyfield fit thing; got 'extra'"),
        ("d --out o --bounds 1 2", "expected FLOAT FLOAT FLOAT for --bounds; got 1 2"),
        ("d --out o --what dept", "expected one of color, depth for --what; got dept"),
        ("d --out o --net.pair 1", "expected 2 values for --net.pair"),
        ("d --out o --net.pair 2 1", "expected a first number up to 1; got 2.0; lower it"),
        ("d --out o --net.rates.table x", "expected a number for --net.rates.table; got x"),
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

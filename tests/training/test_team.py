"""Several processes take the step that one takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed

from polyfield.apps.choices import configured, kind_named
from polyfield.devices import CPU, Rows, uniform
from polyfield.errors import InputError
from polyfield.training import team
from polyfield.training.team import ALONE, Team

SCRIPT = Path(__file__).with_name("team_steps.py")
needs_gloo = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="no gloo"
)


@pytest.mark.parametrize(("count", "size"), [(0, 2), (1, 2), (7, 3), (64, 2), (5, 8)])
def test_shares_are_all_rows_once(count: int, size: int) -> None:
    rows = list(range(count))
    shares = [rows[Team(rank, size, CPU).share(count)] for rank in range(size)]
    assert sum(shares, []) == rows
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_share_of_what_is_drawn() -> None:
    whole = uniform((7, 2), torch.Generator().manual_seed(3), CPU)
    for rank in range(3):
        one = Team(rank, 3, CPU)
        generator = torch.Generator().manual_seed(3)
        draws = one.draws(generator, 7)
        assert isinstance(draws, Rows)
        mine = one.share(7)
        assert uniform((mine.stop - mine.start, 2), draws, CPU).equal(whole[mine])
        # All go on from the same place.
        assert torch.rand(1, generator=generator).equal(
            torch.rand(15, generator=torch.Generator().manual_seed(3))[-1:]
        )


def test_alone_nothing_is_exchanged() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    ALONE.add_up([parameter])
    assert parameter.grad is None and ALONE.totals(2.0, 3.0) == [2.0, 3.0]
    assert ALONE.share(5) == slice(0, 5) and ALONE.leads and not ALONE.any(False)
    generator = torch.Generator()
    assert ALONE.draws(generator, 5) is generator
    with team.joined(CPU) as found:
        assert found is ALONE


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert team.device_of("cuda:1") == "cuda:1"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert team.device_of("cpu") == "cpu"
    with pytest.raises(InputError, match="each takes a GPU of its own"):
        team.device_of("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert team.device_of("auto") == "auto"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert team.device_of("auto") == "cuda:1" == team.device_of("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="at most 1 processes, one a GPU"):
        team.device_of("auto")


def test_what_needs_all_errors_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "_joined", [Team(0, 2, CPU)])
    task = configured(kind_named("image"), "sape")
    data = task.open("demo")
    with pytest.raises(InputError, match="one process .*; got 2; start it without torchrun"):
        task.training(task.model(data), data, 0)


@needs_gloo
@pytest.mark.parametrize("kind", [pytest.param("image", marks=pytest.mark.slow), "scene"])
def test_the_sum_of_gradients_is_that_of_one_process(kind: str, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one", "two")]
    start = [sys.executable, "-P"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for file, words in zip(files, ([], launch), strict=True):
        command = [*start, *words, str(SCRIPT), kind, str(file)]
        subprocess.run(command, check=True, env=env, timeout=300, capture_output=True)
    one, two = (torch.load(file) for file in files)
    assert one["numbers"] == pytest.approx(two["numbers"], rel=1e-5)
    for mine, theirs in zip(one["grads"], two["grads"], strict=True):
        assert (mine - theirs).norm() <= 1e-5 * mine.norm() and mine.norm() > 0

import os
import signal
from pathlib import Path

import pytest
import torch

from polyfield.encodings.domain import Box
from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.networks.mlp import Perceptron
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.signals.image import ImageFile
from polyfield.training.clock import Clock
from polyfield.training.fit import Session
from polyfield.training.loop import Fit, FitConfig, FitError, Progress
from polyfield.training.objectives.regression import Regression, RegressionObjective
from polyfield.training.run import Run
from polyfield.training.scores import PSNR
from polyfield.training.watchers.console import Reporter
from polyfield.training.watchers.curve import HISTORY_POINTS, History

STEPS = 40


def _fit(steps: int = STEPS) -> Fit:
    torch.manual_seed(0)
    picture = ImageFile().build(
        torch.rand(16, 20, 3, generator=torch.Generator().manual_seed(1)).numpy(), ReadOptions()
    )
    grid = HashGrid(levels=2, log2_size=8, finest_resolution=32)
    field = Coordinate(grid, Perceptron(hidden=16, layers=1)).build(Box(picture.bounds), 3)
    objective = Regression(batch=64).build(picture, field, seed=0)
    return Fit(field, objective, FitConfig(steps=steps))


def _train(fit: Fit, run: Run | None, resume: bool = False, every: float = 1e9) -> History:
    session = Session(fit, run, None, Reporter(quiet=True), Clock(), every)
    return session.train(History(PSNR), resume)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    found = Run(tmp_path / "run")
    found.begin({"kind": "image"})
    return found


def _interrupt_at(step: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send this process a signal while a step is under way."""
    whole = Fit.step

    def interrupted(self: Fit) -> str | None:
        if self.progress.step == step:
            os.kill(os.getpid(), number)
        return whole(self)

    monkeypatch.setattr(Fit, "step", interrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_as_if_it_had_not(
    run: Run, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _fit()
    _train(whole, None)
    with monkeypatch.context() as patch:
        stopped = _fit()
        _interrupt_at(13, number, patch)
        with pytest.raises((KeyboardInterrupt, SystemExit)) as caught:
            _train(stopped, run)
    assert "--resume goes on" in caught.value.__notes__[0]
    assert run.state_meta()["step"] == 14
    resumed = _fit()
    _train(resumed, run, resume=True)
    for name, tensor in whole.field.state_dict().items():
        assert torch.equal(tensor, resumed.field.state_dict()[name]), name
    assert run.state_meta()["spent"] and run.state_meta()["step"] == STEPS


def test_a_loss_that_stops_being_finite_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = _fit()
    whole, spoilt = RegressionObjective.__call__, []

    def sometimes(self: RegressionObjective, step: int, progress: float):
        loss, numbers = whole(self, step, progress)
        if step == 10 and not spoilt:
            spoilt.append(step)
            loss = loss * torch.nan
        return loss, numbers

    monkeypatch.setattr(RegressionObjective, "__call__", sometimes)
    _train(fit, None)
    assert fit.progress.step == STEPS and fit.progress.rewinds == 1
    printed = capsys.readouterr().out
    assert printed.count("stopped being finite") == 1 and "0.5 of the rates" in printed


def test_a_loss_that_is_never_finite_ends_in_a_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three rewinds; what training had when it was finite is kept."""
    fit = _fit()
    whole = RegressionObjective.__call__

    def spoilt(self: RegressionObjective, step: int, progress: float):
        loss, numbers = whole(self, step, progress)
        return (loss * torch.nan if step >= 10 else loss), numbers

    monkeypatch.setattr(RegressionObjective, "__call__", spoilt)
    with pytest.raises(FitError, match="the loss not finite after 3 rewinds; lower") as caught:
        _train(fit, run)
    assert "\n" not in str(caught.value)
    assert all(p.isfinite().all() for p in fit.field.parameters())


def test_the_first_checkpoint_is_at_step_0(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(self: Fit) -> str | None:
        raise RuntimeError("the power is out")

    fit = _fit()
    monkeypatch.setattr(Fit, "warm_up", lambda self: None)
    monkeypatch.setattr(Fit, "step", die)
    with pytest.raises(RuntimeError):
        _train(fit, run)
    assert run.state_meta()["step"] == 0


def test_checkpoints_follow_the_clock(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    monkeypatch.setattr(Run, "save_state", lambda self, state, meta: steps.append(meta["step"]))
    _train(_fit(3), run, every=0.0)
    assert steps == [0, 1, 2, 3, 3]


def test_a_history_is_thinned_but_keeps_its_means() -> None:
    history = History(PSNR)
    for step in range(1, 4 * HISTORY_POINTS):
        history.add(Progress(step=step, seconds=0.3 * step, loss=1.0, numbers={"psnr": 20.0}))
    assert HISTORY_POINTS / 4 < len(history.rows) <= HISTORY_POINTS
    assert all(row[1:] == pytest.approx([1.0, 20.0]) for row in history.rows)
    seconds = [row[0] for row in history.rows]
    assert seconds == sorted(seconds)
    again = History(PSNR, history.rows)
    again.add(Progress(seconds=seconds[-1] + 0.3, loss=1.0))
    assert len(again.rows) == len(history.rows)


def test_a_log_for_tensorboard_is_kept(run: Run) -> None:
    _train(_fit(5), run)
    assert any(run.file("log").iterdir())


def test_nothing_is_written_without_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _train(_fit(3), None)
    assert list(tmp_path.iterdir()) == []

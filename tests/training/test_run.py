import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import polyfield
from polyfield import machine
from polyfield.encodings.hash_grid import HashGrid
from polyfield.errors import InputError, WriteError
from polyfield.fields.coordinate import Coordinate
from polyfield.renderers.model_files import save_model
from polyfield.renderers.signal_model import SignalInfo, SignalModel
from polyfield.training.run import Run, check_fingerprint, load_as, plan, update_metrics

CONFIG: dict[str, Any] = {
    "polyfield": "0.1.0",
    "kind": "scene",
    "data": "/data/lego",
    "preset": "hash",
    "seed": 0,
    "threads": 2,
    "fit": {"seconds": 60.0, "steps": None, "rates": {"table": 0.01}},
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "deep" / "run")


def _begun(run: Run, **meta: object) -> Run:
    run.begin({**CONFIG, "fingerprint": "abc"})
    if meta:
        whole = {"samples": 0, "seconds": 0.0, "spent": False, "history": [], **meta}
        run.save_state({"x": torch.ones(2)}, whole)
    return run


def _changed(**values: object) -> dict[str, Any]:
    return {**CONFIG, **values}


def test_a_new_or_empty_folder_is_fresh_and_stays_as_it_was(run: Run) -> None:
    assert plan(run, CONFIG, resume=False, overwrite=False) == "fresh"
    assert not run.path.parent.exists()
    run.path.mkdir(parents=True)
    assert plan(run, CONFIG, resume=False, overwrite=False) == "fresh"
    assert list(run.path.iterdir()) == []


def test_resuming_what_is_missing_begins_it(run: Run) -> None:
    assert plan(run, CONFIG, resume=True, overwrite=False) == "fresh"
    _begun(run)
    assert plan(run, CONFIG, resume=True, overwrite=False) == "fresh"


def test_a_run_is_neither_touched_nor_taken_without_a_word(run: Run) -> None:
    _begun(run, step=3)
    with pytest.raises(InputError, match="--resume or --overwrite"):
        plan(run, CONFIG, resume=False, overwrite=False)
    assert plan(run, _changed(seed=5), resume=False, overwrite=True) == "fresh"
    assert run.state_meta()["step"] == 3


def test_a_run_goes_on(run: Run) -> None:
    _begun(run, step=3, spent=False)
    assert plan(run, CONFIG, resume=True, overwrite=False) == "resume"
    assert plan(run, _changed(threads=1, polyfield="9"), True, False) == "resume"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed 1 instead of 0"),
        ({"data": "/data/fox"}, "data /data/fox instead of /data/lego"),
        ({"fit": {**CONFIG["fit"], "seconds": 61.0}}, "fit.seconds 61.0 instead of 60.0"),
        ({"fit": {**CONFIG["fit"], "rates": {"table": 1.0}}}, "fit.rates.table 1.0 instead"),
        ({"kind": "image"}, "kind image"),
    ],
)
def test_another_command_is_not_the_same_run(
    run: Run, change: dict[str, Any], message: str
) -> None:
    _begun(run, step=3, spent=False)
    with pytest.raises(InputError, match=message):
        plan(run, _changed(**change), resume=True, overwrite=False)


def test_a_finished_run_is_finished_only_when_measured(run: Run) -> None:
    _begun(run, step=3, spent=True)
    assert plan(run, CONFIG, resume=True, overwrite=False) == "resume"
    update_metrics(run, {"steps": 3})
    assert plan(run, CONFIG, resume=True, overwrite=False) == "finished"


def test_other_data_under_the_same_path_is_noticed(run: Run) -> None:
    _begun(run)
    check_fingerprint(run, "abc")
    with pytest.raises(InputError, match="other pixels"):
        check_fingerprint(run, "abd")


def test_beginning_anew_clears_the_run_and_nothing_else(run: Run) -> None:
    _begun(run, step=3)
    update_metrics(run, {"psnr": 1.0})
    (run.path / "log").mkdir()
    (run.path / "prediction.png").touch()
    (run.path / "notes.txt").touch()
    run.begin(_changed(seed=7))
    assert sorted(p.name for p in run.path.iterdir()) == ["config.yaml", "notes.txt"]
    assert run.config()["seed"] == 7


@pytest.mark.parametrize("name", ["model.safetensors", "preview.png", "prediction.wav"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_in_the_place_of_a_file_is_told_before_anything_is_cleared(
    run: Run, name: str, overwrite: bool
) -> None:
    _begun(run)
    (run.path / name).mkdir()
    (run.path / ".part-x.json").mkdir()
    update_metrics(run, {"psnr": 1.0})
    with pytest.raises(InputError, match=f"{name} to be a file or absent; got a folder"):
        plan(run, CONFIG, not overwrite, overwrite)
    assert run.metrics() == {"psnr": 1.0}
    run.tidy()


@pytest.mark.skipif(os.name == "nt", reason="named pipes")
def test_a_pipe_in_the_place_of_the_log_does_not_block(run: Run) -> None:
    _begun(run)
    os.mkfifo(run.file("log"))
    with pytest.raises(InputError, match="log to be a folder or absent"):
        plan(run, CONFIG, resume=False, overwrite=True)
    run.begin(CONFIG)


def test_a_name_too_long_is_a_line(tmp_path: Path) -> None:
    run = Run(tmp_path / ("1" + "0" * 400))
    assert not run.is_there
    with pytest.raises(InputError, match="a folder for --out; got .*too long"):
        plan(run, CONFIG, resume=False, overwrite=False)


def test_a_folder_of_something_else_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    for resume, overwrite in ((False, False), (True, False), (False, True)):
        with pytest.raises(InputError, match="other files"):
            plan(Run(tmp_path), CONFIG, resume, overwrite)


def test_leftovers_of_a_killed_process_are_no_run(tmp_path: Path) -> None:
    (tmp_path / ".part-abc.yaml").touch()
    assert plan(Run(tmp_path), CONFIG, resume=True, overwrite=False) == "fresh"
    Run(tmp_path).tidy()
    assert list(tmp_path.iterdir()) == []


def test_places_that_can_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="a folder for --out"):
        plan(Run(tmp_path / "file"), CONFIG, False, False)
    with pytest.raises(InputError, match="a folder to write"):
        plan(Run(tmp_path / "file" / "run"), CONFIG, False, False)
    with pytest.raises(InputError, match="--resume or --overwrite"):
        plan(Run(tmp_path / "new"), CONFIG, True, True)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(errno.ENOSPC, WriteError), (errno.EDQUOT, WriteError), (errno.ENOTDIR, InputError)],
)
def test_a_full_disk_is_no_wrong_name(
    run: Run, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
) -> None:
    def full(*words: object, **more: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(kind, match=f"(?i)expected .*{os.strerror(code)}; "):
        run.make()
    assert not run.path.exists()


@pytest.mark.parametrize("text", ["[", "just words", "kind: song", ""])
def test_a_damaged_config_is_named(run: Run, text: str) -> None:
    _begun(run)
    run.file("config.yaml").write_text(text)
    with pytest.raises(InputError, match=r"config\.yaml"):
        run.config()


def test_loading_what_is_no_model(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", tmp_path / "model.safetensors"):
        with pytest.raises(InputError, match="model.safetensors"):
            polyfield.load(path)
    (tmp_path / "model.safetensors").write_bytes(b"no model")
    with pytest.raises(InputError, match="cut short"):
        polyfield.load(tmp_path)


def test_metrics_are_merged(run: Run) -> None:
    _begun(run)
    update_metrics(run, {"psnr": 1.0, "steps": 3})
    assert update_metrics(run, {"psnr": float("inf")})["steps"] == 3
    assert run.metrics() == {"psnr": None, "steps": 3}


def test_memory_is_measured_in_bytes() -> None:
    peak = machine.peak_memory()
    assert peak is None or 50e6 < peak < 1e12


def test_a_model_of_another_kind_is_not_believed(run: Run) -> None:
    _begun(run)
    field = Coordinate(HashGrid(levels=2, log2_size=4, base_resolution=2, finest_resolution=4))
    info = SignalInfo("image", (4, 3), (4.0, 3.0), 3, {"color_space": "srgb"})
    save_model(run.file("model.safetensors"), SignalModel(field, info))
    assert load_as(run, "image", torch.device("cpu")).kind == "image"
    with pytest.raises(InputError, match="kind scene.*; got one of kind image"):
        load_as(run, "scene", torch.device("cpu"))

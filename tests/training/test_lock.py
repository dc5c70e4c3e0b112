"""One process a run."""

import os
from pathlib import Path

import pytest

from polyfield.errors import InputError
from polyfield.training.lock import NAME, locked

fcntl = pytest.importorskip("fcntl")


def test_a_second_one_is_refused_and_the_next_one_is_not(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(InputError, match=f"which process {os.getpid()} is"), locked(tmp_path):
            pass
        assert (tmp_path / NAME).is_file()
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path):
        pass


def test_what_a_dead_process_left_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("1")
    with locked(tmp_path):
        assert (tmp_path / NAME).read_text() == str(os.getpid())


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(InputError, match="a folder to write the run into"), locked(tmp_path):
        pass


def test_a_lock_that_goes_between_opening_and_locking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = fcntl.flock, []

    def flock(file: object, how: int) -> None:
        if not calls:
            (tmp_path / NAME).unlink()
        calls.append(how)
        whole(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path):
        assert len(calls) == 2 and (tmp_path / NAME).is_file()
        with pytest.raises(InputError, match="nobody is training"), locked(tmp_path):
            pass

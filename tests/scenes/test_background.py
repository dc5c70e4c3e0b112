import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.background import training_background, viewing_background


def test_names_and_numbers() -> None:
    assert viewing_background("white") == (1, 1, 1)
    assert viewing_background("black") == (0, 0, 0)
    assert viewing_background("0.1,0.5, 1") == (0.1, 0.5, 1)


def test_random_trains_on_many_and_shows_white() -> None:
    assert training_background("random") is None
    assert viewing_background("random") == (1, 1, 1)
    found = training_background("0,0.5,1")
    assert found is not None and torch.equal(found, torch.tensor([0, 0.5, 1]))


@pytest.mark.parametrize("name", ["whit", "1,2", "0,0,2", "-1,0,0", "nan,0,0", "", "1,1,1,1"])
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="white, black, random"):
        viewing_background(name)

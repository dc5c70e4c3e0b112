import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyfield.errors import InputError
from polyfield.scenes.holdout import kept_pixels


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0, 0.99))
def test_the_share_is_kept_from_training(width: int, height: int, share: float) -> None:
    kept = kept_pixels(width, height, str(share))
    count = width * height
    if kept is None:
        assert max(1, round(count * (1 - share))) == count
        return
    assert len(kept) == max(1, round(count * (1 - share)))
    assert len(kept.unique()) == len(kept) and 0 <= int(kept.min()) <= int(kept.max()) < count
    again = kept_pixels(width, height, str(share))
    assert again is not None and torch.equal(kept, again)


def test_a_lattice_keeps_every_second_pixel_in_both_axes() -> None:
    kept = kept_pixels(5, 4, "lattice")
    assert kept is not None
    assert [(int(i) % 5, int(i) // 5) for i in kept] == [
        (column, row) for row in (0, 2) for column in (0, 2, 4)
    ]


@pytest.mark.parametrize("holdout", ["1", "-0.1", "half", "nan"])
def test_anything_else_is_wrong(holdout: str) -> None:
    with pytest.raises(InputError, match="holdout"):
        kept_pixels(4, 4, holdout)

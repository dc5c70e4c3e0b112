"""Words of a task are checked when it is made: those of flags and of config.yaml alike."""

import pytest

from polyfield.apps.choices import changed, configured, kind_named
from polyfield.errors import InputError


@pytest.mark.parametrize("kind", ["scene", "image"])
def test_a_background_is_a_colour(kind: str) -> None:
    task = configured(kind_named(kind), "hash")
    assert changed(task, {"background": "0.1,0.2,0.3"}).background == "0.1,0.2,0.3"
    with pytest.raises(InputError, match="background white"):
        changed(task, {"background": "i힌"})


def test_a_format_is_one_of_those_there_are() -> None:
    task = configured(kind_named("scene"), "hash")
    with pytest.raises(InputError, match="a format"):
        changed(task, {"format": "blend"})

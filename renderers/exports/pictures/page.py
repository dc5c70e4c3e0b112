"""The page of an image: which of the two it is."""

from __future__ import annotations

from polyfield.errors import InputError
from polyfield.memory import as_size
from polyfield.renderers.exports.pictures.field import field_page
from polyfield.renderers.exports.pictures.tiles import tiles_page
from polyfield.renderers.exports.shell import check_size
from polyfield.renderers.exports.source import Pictured, Tell


def picture_page(model: Pictured, title: str, finer: int | None, tell: Tell) -> tuple[bytes, str]:
    """The HTML of an image, and a line about it.

    Args:
        model: the image.
        title: of the page.
        finer: of tiles, levels beyond the image's own pixels; None for 1.
        tell: shows progress.

    Raises:
        InputError: browsers wouldn't open so large a page, or there are no tiles to be finer.
    """
    passes = model.field.passes()
    if passes is None:
        content, what = tiles_page(model, title, 1 if finer is None else finer, tell)
        advice = "give a smaller --finer, or fit the image with --downscale"
    elif finer is not None:
        raise InputError(
            "an image that is shown as tiles for --finer",
            "one whose field is computed in the browser, as fine as one looks",
            "leave it out",
        )
    else:
        content, what = field_page(model, passes, title), "the field itself"
        advice = "fit a smaller field, or distil it into one: polyfield distill RUN --to PRESET"
    check_size(content, advice)
    return content, f"a page of {as_size(len(content))}: {what}"

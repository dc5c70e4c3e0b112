"""docs/formats.md says what scenes/formats/keys.py and the lenses say."""

import re
from dataclasses import fields
from pathlib import Path

from polyfield.scenes import FORMATS
from polyfield.scenes.formats.keys import BLENDER, TRANSFORMS, WARNED
from polyfield.scenes.lens_keys import MODELS, SAME
from polyfield.scenes.lenses import LENSES

TEXT = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()


def _words(text: str) -> set[str]:
    return {word for code in re.findall(r"`([^`]+)`", text) for word in code.split()}


def _section(title: str) -> set[str]:
    return _words(TEXT.split(f"**{title}**:")[1].split("\n\n")[0])


def test_every_key_is_in_its_list() -> None:
    assert _section("Read") == TRANSFORMS.read and BLENDER.read < TRANSFORMS.read
    assert _section("Told, not used") == set(WARNED)
    assert _section("Passed over") == TRANSFORMS.harmless == BLENDER.harmless


def test_every_format_has_its_rows() -> None:
    for name in FORMATS:
        assert f"\n| `{name}`" in TEXT, name


def test_every_lens_has_its_row() -> None:
    rows = [line.split("|")[2:4] for line in TEXT.split("## Lenses")[1].splitlines() if "|" in line]
    named = {word: _words(terms) for models, terms in rows for word in _words(models)}
    assert set(MODELS) <= set(named)
    for model in MODELS:
        kind = LENSES[SAME.get(model, model)]
        wanted = {field.name for field in fields(kind)}
        found = named[model] - {"k3"} if kind.model == "OPENCV" else named[model]
        assert wanted == found or (not wanted and kind.model == "EQUIRECTANGULAR"), model

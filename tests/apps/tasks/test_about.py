"""What a model file says of its signal is believed only if it is of the right kind."""

from pathlib import Path

import pytest

from polyfield.apps import cli
from polyfield.tensors import load_tensors, save_tensors

SMALL = ["--field.encoding.levels", "2", "--field.encoding.log2-size", "6", "--steps", "1"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind of signal."""
    home = tmp_path_factory.mktemp("runs")
    found = {kind: home / kind for kind in ("sound", "image")}
    for kind, run in found.items():
        assert cli.run(["fit", kind, "demo", "--out", str(run), *SMALL, "--quiet"]) == 0
    return found


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("sound", "rate", [44100]),
        ("sound", "rate", None),
        ("sound", "power", "loud"),
        ("sound", "container", 3),
        ("image", "color_space", "cmyk"),
        ("image", "color_space", {"srgb": 1}),
    ],
)
def test_a_damaged_description_is_one_line(
    kind: str,
    key: str,
    value: object,
    runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = runs[kind] / "model.safetensors"
    tensors, meta = load_tensors(file)
    save_tensors(file, tensors, {**meta, "about": {**meta["about"], key: value}})
    learns = ["distill", str(runs[kind]), "--to", "hash", "--steps", "1"]
    verb = learns if key == "power" else ["render", str(runs[kind])]
    out = tmp_path / ("out" if kind == "image" or key == "power" else "out.wav")
    assert cli.run([*verb, "--out", str(out)]) == 2
    save_tensors(file, tensors, meta)
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and key in error
    assert not out.exists()

"""What measures the rows of benchmarks/takeaway.py: each part that needs no fit and no browser."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from polyfield.fields.baked import Baked

ROOT = Path(__file__).resolve().parents[2]


def _helper(path: str) -> ModuleType:
    file = ROOT / "tests" / path
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


web = _helper("renderers/exports/test_web.py")


@pytest.fixture(autouse=True)
def _on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("playwright", "msgspec", "viser", "trimesh"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.parametrize(("bands", "unbounded"), [(1, False), (2, False), (2, True)])
def test_the_student_of_a_page_is_the_one_that_was_written(
    tmp_path: Path, bands: int, unbounded: bool
) -> None:
    from taken.page_reader import student

    made = web.model(unbounded).baked(Baked(8, 6, bands))
    web.written(tmp_path / "a.html", made)
    found = student(tmp_path / "a.html")
    steps = [m.renderer.sampler.lattice.step for m in (found, made)]
    assert steps[0] == pytest.approx(steps[1])
    for camera in web.views():
        wanted = made.render(camera)
        torch.testing.assert_close(found.render(camera).color, wanted.color, atol=1e-5, rtol=1e-5)
        assert np.ptp(wanted.color.numpy()) > 0.3


def _shader(page: str) -> str:
    """The march as the page's script puts it together."""
    march, harmonics = (
        page.split(f'id="{name}">')[1].split("</script>")[0] for name in ("march", "harmonics")
    )
    assert march.count("//SHADING") == 1
    return march.replace("//SHADING", harmonics)


def test_every_read_of_the_march_can_be_counted(tmp_path: Path) -> None:
    from taken.frame_rate import COUNTED, counting

    web.written(tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    for read, _ in COUNTED.values():
        changed = counting(text, read)
        assert changed.count("counted += 1.0;") == 1 and "pixel = vec4(mod(counted" in changed
        whole = _shader(changed)
        assert whole.index("float counted = 0.0;") < whole.index("counted += 1.0;")
    # No read is left out: a sample reads what is counted and two more colours beside the first; a
    # sky is read once a ray.
    whole = _shader(text)
    assert whole.count("textureLod(") + whole.count("texelFetch(") == len(COUNTED) + 2 + 1
    assert whole.count("textureLod(sky") == 1 and "texture(" not in whole
    with pytest.raises(ValueError, match="the march has changed"):
        counting(text, "texture(nothing, texel)")


def test_rows_have_names_of_their_own_and_lines_in_the_table(tmp_path: Path) -> None:
    sys.modules.pop("takeaway", None)
    import takeaway
    from taken.evidence import Evidence
    from taken.table import ABSENT, LINES, table

    names = [name for name, _ in takeaway.rows(Evidence(tmp_path, tmp_path / "out", 1))]
    assert len(names) == len(set(names)) > 40
    told = [wanted for _, _, _, line, _ in LINES for wanted in line]
    for name in names:
        assert any(name == w or (w.endswith("*") and name.startswith(w[:-1])) for w in told), name
    for wanted in told:
        assert any(name == wanted or name.startswith(wanted.rstrip("*")) for name in names), wanted
    assert table({}).count(ABSENT) == len(LINES)
    row = {"mean_db": 50.0, "worst_db": 41.0, "must": True}
    said = table({"browser against python lego": row})
    assert "lego: 50.0, 41.0 dB" in said or "browser against python lego: 50.0, 41.0 dB" in said
    assert f"{ABSENT}: browser against python demo" in said

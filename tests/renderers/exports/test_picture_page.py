"""Pages of images: the field itself as a browser computes it, tiles, and what can't be."""

import dataclasses
import importlib.util
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from polyfield.apps.tasks.image_presets import image_presets
from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.domain import Box
from polyfield.encodings.frequency import Frequency
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.encodings.random_fourier import RandomFourier
from polyfield.errors import InputError
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.networks.finer import Finer
from polyfield.fields.networks.mlp import Perceptron
from polyfield.fields.networks.relu import Relu
from polyfield.fields.networks.siren import Siren
from polyfield.renderers.exports.pictures import field as field_pages
from polyfield.renderers.exports.pictures import tiles as tile_pages
from polyfield.renderers.exports.source import Source
from polyfield.renderers.exports.web import Web
from polyfield.renderers.signal_model import SignalInfo, SignalModel
from polyfield.scenes.color import screen_colors

SIZE = (90, 61)


def _helper(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = _helper("pages")


def quiet(line: str) -> None:
    """Progress that nobody reads."""


def model(field, channels=3, color_space="srgb", size=SIZE):
    """An image of random weights, as bright as that something is seen."""
    torch.manual_seed(0)
    extent = tuple(float(n) for n in size)
    info = SignalInfo("image", size, extent, channels, {"color_space": color_space})
    made = SignalModel(field, info)
    with torch.no_grad():
        for table in made.field.groups().get("table", []):
            table.uniform_(-1, 1)
    if field.output == "linear":
        made.info = dataclasses.replace(info, scale=0.4 / float(made.render().std()))
    return made.eval()


GRID = HashGrid(levels=12, features=2, log2_size=12, base_resolution=4, finest_resolution=300)
FIELDS = {
    "hash": Coordinate(GRID),
    "hash, one feature": Coordinate(HashGrid(5, 1, 8, 4, 70, "smoothstep"), Siren(32, 2)),
    "hash, eight features": Coordinate(HashGrid(3, 8, 9, 4, 40), output="sigmoid"),
    "dense": Coordinate(DenseGrid(levels=4, features=4, base_resolution=3, finest_resolution=80)),
    "siren": Coordinate(Identity(centered=True), Siren(hidden=48, layers=3)),
    "mlp": Coordinate(Frequency(10), Relu(hidden=40, layers=3)),
    "mlp without the coordinates": Coordinate(Frequency(3, False), Perceptron(18, 1), "sigmoid"),
}


def written(path, made, name="a & b", **options):
    return Web(**options).write(Source(made, name, {}), path, quiet)


@pytest.fixture(scope="module")
def browser():
    """Chromium with WebGL in software."""
    with pages.chromium() as found:
        yield found


def drawn(page, corners, width, height):
    """What the page computes of a rectangle, [h, w, 3] in [0, 1]."""
    script = "(a) => Array.from(polyfield.render(...a))"
    pixels = np.array(page.evaluate(script, [*corners, width, height]), np.uint8)
    assert (pixels.reshape(-1, 4)[:, 3] == 255).all()
    return pixels.reshape(height, width, 4)[..., :3] / 255


@torch.no_grad()
def wanted(made, corners, width, height):
    """The same by Python."""
    x0, y0, x1, y1 = corners
    x = x0 + (torch.arange(width).double() + 0.5) * (x1 - x0) / width
    y = y0 + (torch.arange(height).double() + 0.5) * (y1 - y0) / height
    values = made.field.on_grid([x.float(), y.float()]).transpose(0, 1) * made.info.scale
    return screen_colors(values, made.picture == "linear").clamp(0, 1).numpy()


def decibel(found, truth):
    return -10 * np.log10(max(np.square(found - truth).mean(), 1e-12))


WHOLE = (0, 0, *SIZE)
NEAR = (31.3, 17.9, 34.1, 19.6)
OVER = (-6, 50, 100, 70)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.slow
def test_a_browser_computes_what_python_does(tmp_path, browser, name):
    made = model(FIELDS[name])
    said = written(tmp_path / "a.html", made)
    assert said.endswith("the field itself")
    page = pages.opened(browser, tmp_path / "a.html")
    assert page.evaluate("polyfield.error") is None
    # More columns than a block has; zoomed in; beyond the edges, where coordinates are clamped.
    for corners, width, height in ((WHOLE, 150, 40), (NEAR, 40, 24), (OVER, 53, 10)):
        truth = wanted(made, corners, width, height)
        assert truth.std() > (0.01 if corners == WHOLE else 0.001), "something is seen"
        # Rounding to bytes alone leaves 58.9 dB of many values, 54.2 in the worst case.
        assert decibel(drawn(page, corners, width, height), truth) > 54
    page.context.close()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("color_space", ["srgb", "linear"])
@pytest.mark.slow
def test_channels_and_colour_spaces(tmp_path, browser, channels, color_space):
    made = model(FIELDS["siren"], channels, color_space)
    written(tmp_path / "a.html", made)
    page = pages.opened(browser, tmp_path / "a.html")
    truth = wanted(made, WHOLE, 48, 30)
    assert truth.std() > 0.01
    assert decibel(drawn(page, WHOLE, 48, 30), truth) > 54
    page.context.close()


@pytest.mark.slow
def test_tables_are_kept_in_16_bits_where_that_is_not_seen(tmp_path, browser, monkeypatch):
    made = model(FIELDS["hash"])
    with monkeypatch.context() as patch:
        patch.setattr(field_pages, "EXACT", 1e-6)
        written(tmp_path / "exact.html", made)
    assert not pages.contents(tmp_path / "exact.html")[0]["passes"][0]["half"]
    written(tmp_path / "half.html", made)
    assert pages.contents(tmp_path / "half.html")[0]["passes"][0]["half"]
    size = [(tmp_path / name).stat().st_size for name in ("half.html", "exact.html")]
    assert size[0] < 0.8 * size[1]
    for name in ("half.html", "exact.html"):
        page = pages.opened(browser, tmp_path / name)
        assert decibel(drawn(page, NEAR, 40, 24), wanted(made, NEAR, 40, 24)) > 55
        page.context.close()


@pytest.mark.slow
def test_what_is_seen_is_the_field_pixel_for_pixel(tmp_path, browser):
    """The screen itself: refined to the end, with the view in the address."""
    made = model(FIELDS["siren"])
    written(tmp_path / "a.html", made)
    page = pages.opened(browser, tmp_path / "a.html", 160, 120)
    # 8 pixels of the screen for one of the image: what it shows is a rectangle around (50, 30).
    page.evaluate("location.hash = '#50,30,8'")
    page.wait_for_function("polyfield.idle && polyfield.view.zoom === 8", timeout=60000)
    page.evaluate("document.getElementById('bar').hidden = true")
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")) / 255
    truth = wanted(made, (40, 22.5, 60, 37.5), 160, 120)
    assert decibel(shot, truth) > 50
    page.context.close()


@pytest.mark.slow
def test_smaller_than_its_pixels_it_is_averaged(tmp_path, browser):
    made = model(Coordinate(GRID), size=(480, 360))
    written(tmp_path / "a.html", made)
    page = pages.opened(browser, tmp_path / "a.html", 160, 120)
    page.evaluate("location.hash = '#240,180,0.5'")
    page.wait_for_function("polyfield.idle && polyfield.view.zoom === 0.5", timeout=60000)
    page.evaluate("document.getElementById('bar').hidden = true")
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")) / 255
    fine = wanted(made, (80, 60, 400, 300), 640, 480)
    truth = fine.reshape(120, 4, 160, 4, 3).mean((1, 3))
    points = wanted(made, (80, 60, 400, 300), 160, 120)
    assert decibel(shot, truth) > 50 > decibel(points, truth)
    page.context.close()


@pytest.mark.slow
def test_it_moves_zooms_stays_in_the_address_and_resets(tmp_path, browser):
    written(tmp_path / "a.html", model(FIELDS["siren"]))
    page = pages.opened(browser, tmp_path / "a.html")
    page.wait_for_function("polyfield.frames > 0", timeout=60000)
    assert page.evaluate("location.hash") == ""
    at = "JSON.stringify(polyfield.view)"

    def change(act, word):
        before, address = page.evaluate(at), page.evaluate("location.hash")
        act()
        page.wait_for_function(f"(v) => {at} !== v", arg=before, timeout=60000)
        page.wait_for_function("(h) => location.hash !== h", arg=address, timeout=60000)
        assert word in page.evaluate("location.hash")

    page.mouse.move(160, 100)
    change(lambda: page.mouse.wheel(0, -300), ",")
    zoomed = page.evaluate("polyfield.view")

    def drag():
        page.mouse.down()
        page.mouse.move(120, 90, steps=3)
        page.mouse.up()

    change(drag, ",")
    # To the end: on a slow machine the address may change in the middle of it.
    there = """(x) => Math.abs(polyfield.view.x - x) < 1e-6 * Math.abs(x)
        && location.hash.startsWith('#' + polyfield.view.x.toFixed(4) + ',')"""
    page.wait_for_function(there, arg=zoomed["x"] + 40 / zoomed["zoom"], timeout=60000)
    moved = page.evaluate("polyfield.view")
    assert moved["zoom"] == zoomed["zoom"]
    assert moved["x"] - zoomed["x"] == pytest.approx(40 / zoomed["zoom"], rel=1e-6)
    change(lambda: page.click("#nearer"), ",")
    change(lambda: page.keyboard.press("-"), ",")
    change(lambda: page.keyboard.press("1"), ",1.00000")
    change(lambda: page.mouse.dblclick(200, 100), ",2.00000")
    page.click("#help")
    assert page.is_visible("#keys")
    change(lambda: page.click("#reset"), "")
    assert page.evaluate("location.hash") == ""
    page.context.close()


@pytest.mark.slow
def test_two_fingers_zoom_about_their_middle(tmp_path, browser):
    """On a phone of three pixels a point."""
    written(tmp_path / "a.html", model(FIELDS["siren"]))
    phone = {"has_touch": True, "is_mobile": True, "device_scale_factor": 3}
    page = pages.opened(browser, tmp_path / "a.html", 390, 844, **phone)
    page.wait_for_function("polyfield.frames > 0", timeout=60000)
    assert page.evaluate("document.getElementById('view').width") == 3 * 390
    before = page.evaluate("polyfield.view")
    touch = page.context.new_cdp_session(page)

    def fingers(kind, *points):
        places = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    fingers("touchStart", (150, 400), (250, 400))
    for wide in (60, 75, 100):
        fingers("touchMove", (200 - wide, 400), (200 + wide, 400))
    fingers("touchEnd")
    grown = "(z) => polyfield.view.zoom > 1.99 * z"
    page.wait_for_function(grown, arg=before["zoom"], timeout=60000)
    after = page.evaluate("polyfield.view")
    assert after["zoom"] == pytest.approx(2 * before["zoom"], rel=1e-3)
    for axis, place, size in (("x", 200, 390), ("y", 400, 844)):
        held = [view[axis] + (place - size / 2) / view["zoom"] for view in (before, after)]
        assert held[0] == pytest.approx(held[1], abs=0.5)
    page.context.close()


@pytest.mark.slow
def test_tiles_are_what_python_draws_and_say_what_they_are(tmp_path, browser):
    made = model(Coordinate(RandomFourier(), Perceptron(32, 2)), size=(300, 201))
    said = written(tmp_path / "a.html", made, finer=1)
    assert "tiles of up to 600x402 pixels, not the field itself" in said
    page = pages.opened(browser, tmp_path / "a.html", 700, 560)
    assert "Tiles, not the field itself" in page.inner_text("#note")
    header, _ = pages.contents(tmp_path / "a.html")
    assert header["levels"] == [[600, 402], [300, 201], [150, 100]]
    script = "async (n) => Array.from(await polyfield.level(n))"
    levels = [
        np.array(page.evaluate(script, number), np.uint8).reshape(height, width, 4)[..., :3] / 255
        for number, (width, height) in enumerate(header["levels"])
    ]
    truth = wanted(made, (0, 0, 300, 201), 600, 402)
    assert truth.std() > 0.01 and decibel(levels[0], truth) > 58
    assert decibel(levels[1], wanted(made, (0, 0, 300, 201), 300, 201)) > 58
    assert decibel(levels[2], levels[1][:200].reshape(100, 2, 150, 2, 3).mean((1, 3))) > 30
    # Pixel for pixel the screen shows the level itself: 600 pixels of it around the middle.
    page.evaluate("location.hash = '#150,100.5,2'")
    page.wait_for_function("polyfield.idle && polyfield.view.zoom === 2", timeout=60000)
    page.evaluate("document.getElementById('bar').hidden = true")
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")) / 255
    seen = shot[560 // 2 - 201 : 560 // 2 + 201, 50:650]
    assert decibel(seen, wanted(made, (0, 0, 300, 201), 600, 402)) > 55
    page.context.close()


@pytest.mark.slow
def test_a_view_may_need_more_tiles_than_are_kept_otherwise(tmp_path, browser, monkeypatch):
    monkeypatch.setattr(tile_pages, "TILE", 16)
    made = model(Coordinate(RandomFourier(), Perceptron(8, 1)), size=(300, 201))
    written(tmp_path / "a.html", made, finer=1)
    page = pages.opened(browser, tmp_path / "a.html", 600, 560)
    # All of it, pixel for pixel above the bar: 38 by 26 tiles.
    page.wait_for_function("polyfield.idle && polyfield.view.zoom === 2", timeout=60000)
    page.evaluate("document.getElementById('bar').hidden = true")
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")) / 255
    seen = shot[50:452]
    assert decibel(seen, wanted(made, (0, 0, 300, 201), 600, 402)) > 55
    page.context.close()


def test_large_tiles_are_jpeg_and_the_largest_are_refused(tmp_path, monkeypatch):
    made = model(Coordinate(RandomFourier(), Perceptron(8, 1)), size=(64, 48))
    monkeypatch.setattr(tile_pages, "PNG", 100)
    written(tmp_path / "a.html", made)
    header, parts = pages.contents(tmp_path / "a.html")
    assert header["type"] == "image/jpeg"
    found = np.asarray(Image.open(io.BytesIO(parts["0/0/0"].tobytes()))) / 255
    assert decibel(found, wanted(made, (0, 0, 64, 48), 128, 96)) > 30
    monkeypatch.setattr(tile_pages, "MOST", 64 * 48)
    assert "more than 3072 pixels" in written(tmp_path / "b.html", made)
    assert pages.contents(tmp_path / "b.html")[0]["levels"][0] == [64, 48]
    monkeypatch.setattr(tile_pages, "LARGEST", 100)
    with pytest.raises(InputError, match="smaller --finer"):
        written(tmp_path / "c.html", made)
    assert not (tmp_path / "c.html").exists()


@pytest.mark.parametrize("name", image_presets())
def test_every_preset_has_a_page(name):
    """Shaders of four, whose files are there; tiles of the others."""
    field = image_presets()[name].field.build(Box(torch.tensor([[0.0, 0.0], [64.0, 48.0]])), 3)
    passes = field.passes()
    assert (passes is not None) == (name in ("hash", "dense", "siren", "mlp"))
    folder = Path(field_pages.__file__).parents[1] / "page"
    for one in passes or ():
        text = (folder / f"{one.op}.glsl").read_text()
        for number in one.numbers:
            assert re.search(rf"uniform \w+ {number}\b", text), (one.op, number)
    if passes:
        assert passes[-1].width == 3


def test_fields_without_shaders_have_no_passes():
    line = Box(torch.tensor([[0.0], [1.0]]))
    for encoding in (HashGrid(levels=2, log2_size=6), Frequency(2), Identity()):
        assert Coordinate(encoding).build(line, 1).passes() is None
    square = Box(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert Coordinate(Identity(True), Finer(8, 2)).build(square, 3).passes() is None


def test_the_page_is_one_file_that_asks_for_nothing(tmp_path):
    for name, field in (("a", FIELDS["hash"]), ("b", Coordinate(RandomFourier()))):
        written(tmp_path / f"{name}.html", model(field), name="$DATA <b>")
        text = (tmp_path / f"{name}.html").read_text()
        assert "<title>$DATA &lt;b&gt;</title>" in text
        assert not re.search(r"""(src|href)\s*=|https?://|url\(|import\s""", text)


@pytest.mark.parametrize(
    ("field", "options", "line"),
    [
        ("hash", {"resolution": 48}, "a scene for --resolution of --to web"),
        ("hash", {"finer": 2}, "--finer; got one whose field is computed"),
        ("tiles", {"steps": 5}, "an image and --steps 5"),
    ],
)
def test_options_that_would_do_nothing_are_refused(tmp_path, field, options, line):
    made = model(FIELDS.get(field, Coordinate(RandomFourier(), Perceptron(8, 1))))
    with pytest.raises(InputError, match=re.escape(line)):
        written(tmp_path / "a.html", made, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_sound_has_no_page_and_a_large_field_none_either(tmp_path, monkeypatch):
    from polyfield.renderers.exports import shell

    sound = SignalInfo("sound", (100,), (1.0,), 1, {"rate": 100})
    with pytest.raises(InputError, match="image"):
        written(tmp_path / "a.html", SignalModel(Coordinate(Frequency(2)), sound).eval())
    monkeypatch.setattr(shell, "LARGEST", 1000)
    with pytest.raises(InputError, match="distil it"):
        written(tmp_path / "a.html", model(FIELDS["siren"]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('id="data">e', 'id="data">x', "damaged"),
        ('"format": 1', '"format": 2', "another version"),
        ('{"format"', '{{"format"', "damaged"),
        ("getContext('webgl2'", "getContext('webgl9'", "WebGL 2"),
        ("gl.getParameter(gl.MAX_TEXTURE_SIZE)", "8", "smaller one"),
        ('["pass0", ', '["pass0", 1', "not whole"),
    ],
)
@pytest.mark.slow
def test_what_can_not_be_drawn_is_one_sentence(tmp_path, browser, old, new, word):
    written(tmp_path / "a.html", model(FIELDS["siren"]))
    path = tmp_path / "b.html"
    text = (tmp_path / "a.html").read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    page = pages.opened(browser, path)
    assert word in page.inner_text("#message") and page.is_visible("#message")
    page.context.close()


@pytest.mark.slow
def test_a_damaged_tile_is_one_sentence(tmp_path, browser, monkeypatch):
    monkeypatch.setattr(Image.Image, "save", lambda image, buffer, *_, **__: buffer.write(b"none"))
    written(tmp_path / "a.html", model(Coordinate(RandomFourier(), Perceptron(8, 1))))
    monkeypatch.undo()
    page = pages.opened(browser, tmp_path / "a.html")
    page.wait_for_selector("#message:not([hidden])", timeout=60000)
    assert "A tile of this page is damaged" in page.inner_text("#message")
    page.wait_for_function("polyfield.idle", timeout=60000)
    page.context.close()

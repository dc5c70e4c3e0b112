"""The page: what is in it, what a browser draws of it, and what it says when it can't."""

import importlib.util
import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from polyfield.encodings.hash_grid import HashGrid
from polyfield.errors import InputError
from polyfield.fields import Baked, Deferred
from polyfield.fields.radiance import Radiance
from polyfield.renderers.corrections import Corrections
from polyfield.renderers.exports.source import Source
from polyfield.renderers.exports.web import Web
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.renderers.samplers import Uniform
from polyfield.renderers.sky import Sky
from polyfield.scenes.cameras import Camera
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.similarity import Similarity
from polyfield.training.distillation import baking


def _helper(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = _helper("pages")
contents, opened = pages.contents, pages.opened
BOX = torch.tensor([[-1.0, -0.8, -1.0], [1.0, 1.0, 1.0]])
FRAME = Similarity((30.0, -7.0, 500.0), 0.25)


def quiet(line: str) -> None:
    """Progress that nobody reads."""


def model(unbounded=False, color_space="srgb", sky=None, radius=0.35):
    """Random grids: clouds of all colours, with more in the middle."""
    torch.manual_seed(0)
    grid = HashGrid(levels=3, log2_size=12, base_resolution=4, finest_resolution=16)
    info = SceneInfo(BOX, unbounded, color_space, (0.2, 0.5, 0.9), FRAME)
    march = OccupancyGrid(resolution=32, steps=256 if unbounded else 128)
    made = RadianceModel(Radiance(grid, hidden=16), march, info, Corrections(sky=sky))
    with torch.no_grad():
        for parameter in made.field.parameters():
            parameter.mul_(3 if parameter.ndim == 1 or len(parameter) < 100 else 2e4)
    made.renderer.sampler.refresh(made.field.density, 0)
    axis = (torch.arange(32) + 0.5) / 32
    place = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    ball = (place - 0.5).norm(dim=-1) < radius
    made.renderer.sampler.adopt(ball.float() * 100)
    return made.eval()


def views(count=4, size=48):
    found = []
    for i in range(count):
        pose = look_at(1.7 * i, 0.3 * i - 0.2, 3.2).double()
        pose[:3, 3] = FRAME.users(pose[:3, 3])
        found.append(
            Camera(pose, size, size - 8, 1.3 * size, 1.25 * size, size / 2 + 1, size / 2 - 5)
        )
    return found


def written(path, made=None, cameras=None, **options):
    source = Source(made or model(), "a & b", {"train": views() if cameras is None else cameras})
    if source.model.field.stored_bytes() is None:
        options = {"resolution": 48, **options}
    said = Web(**options).write(source, path, quiet)
    return source, said


def noisy(made):
    """Stored values and networks of which nothing is as it was baked."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in made.field.named_parameters():
            wide = 0.1 if name == "table" else 1.0
            parameter.add_(wide * torch.randn_like(parameter))
    return made


def test_the_page_is_one_file_that_asks_for_nothing(tmp_path):
    _, said = written(tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "a page of" in said and "<title>a &amp; b</title>" in text
    assert not re.search(r"""(src|href)\s*=|https?://|url\(|import\s""", text)
    assert "$" not in re.sub(r"\$\{|\$1", "", text.split('id="data"')[0])


def test_textures_hold_the_bytes_of_the_field(tmp_path):
    made = model().baked(Baked(8, 6, 2))
    written(tmp_path / "a.html", made)
    header, parts = contents(tmp_path / "a.html")
    stored = made.field.stored_bytes()
    x, y, z = header["atlas"]
    density = parts["density"].reshape(z, y, x)
    colors = colors_of(header, parts)
    place = parts["place"].reshape(8, 8, 8, 4)
    seen = 0
    for block in torch.cartesian_prod(*[torch.arange(8)] * 3).tolist():
        i, j, k = block
        slot, (bx, by, bz, away) = int(stored.slot[i, j, k]), place[k, j, i].astype(int)
        assert (slot >= 0) == (away == 0)
        if slot < 0:
            here = (stored.slot >= 0).nonzero()
            assert away == int((here - torch.tensor(block)).abs().amax(1).min())
            continue
        seen += 1
        part = tuple(slice(7 * b, 7 * b + 7) for b in (bz, by, bx))
        wanted = stored.values[slot].numpy().transpose(2, 1, 0, 3)
        assert (density[part] == wanted[..., 0]).all()
        for number, color in enumerate(colors):
            assert (color[part] == wanted[..., 1 + 4 * number : 5 + 4 * number]).all()
    assert seen == len(stored.values) > 20


def colors_of(header, parts):
    """Harmonics of red, green and blue [z, y, x, 4]: of each block one after the other along x."""
    (x, y, z), side = header["atlas"], header["cells"] + 1
    blocks = parts["colors"].reshape(z, y, x // side, 3, side, 4)
    return [blocks[:, :, :, color].reshape(z, y, x, 4) for color in range(3)]


def blocks_of(header, parts):
    """Of each stored block: its numbers along the axes, and its bytes [x, y, z, channel]."""
    x, y, z = header["atlas"]
    layers = [parts["density"].reshape(z, y, x, -1)]
    layers += (
        [parts["features"].reshape(z, y, x, -1)] if header["network"] else colors_of(header, parts)
    )
    b, side = header["blocks"], header["cells"] + 1
    place = parts["place"].reshape(b, b, b, 4).astype(int)
    for k, j, i in np.argwhere(place[..., 3] == 0):
        part = tuple(slice(side * n, side * n + side) for n in place[k, j, i, 2::-1])
        values = np.concatenate([layer[part] for layer in layers], -1)
        yield (int(i), int(j), int(k)), values.transpose(2, 1, 0, 3)


@pytest.mark.parametrize("shading", ["sh", "deferred"])
def test_blocks_that_meet_have_the_same_bytes_there(tmp_path, monkeypatch, shading):
    """After training too, in which each block has its own rays."""
    monkeypatch.setattr(baking, "SAMPLES", 4096)

    def learn(teacher, student, steps, tell):
        baking.learn_to_look_alike(teacher, student, views(), steps, tell)

    found = {}
    for steps in (0, 30):
        source = Source(model(), "a", {"train": views()}, learn)
        path = tmp_path / f"{steps}.html"
        Web(resolution=48, shading=shading, steps=steps).write(source, path, quiet)
        found[steps] = dict(blocks_of(*contents(path)))
    changed = [(found[30][key] != found[0][key]).mean() for key in found[0]]
    assert np.mean(changed) > 0.05
    faces = 0
    for (i, j, k), values in found[30].items():
        for axis, next_one in enumerate([(i + 1, j, k), (i, j + 1, k), (i, j, k + 1)]):
            if next_one in found[30]:
                faces += 1
                other = found[30][next_one]
                assert (values.take(-1, axis) == other.take(0, axis)).all()
    assert faces > 30


def test_textures_of_deferred_shading_hold_the_bytes_of_the_field(tmp_path):
    made = noisy(model().baked(Deferred(8, 6)))
    written(tmp_path / "a.html", made)
    header, parts = contents(tmp_path / "a.html")
    stored = made.field.stored_bytes()
    found = dict(blocks_of(header, parts))
    assert len(found) == len(stored.values) > 20
    for place, values in found.items():
        assert (values == stored.values[int(stored.slot[place])].numpy()).all()
    columns = parts["network"].copy().view("<f4").reshape(-1, 4)
    assert len(columns) == 225
    first, second, third = made.field.shading.layers()
    assert (columns[:140].reshape(35, 16) == first.T.numpy()).all()
    assert (columns[140:208].reshape(17, 16) == second.T.numpy()).all()
    assert (columns[208:, :3] == third.T.numpy()).all()


def test_bands_are_those_of_harmonics():
    with pytest.raises(InputError, match="leave out one"):
        Web(shading="deferred", bands=1)


def test_the_same_run_gives_the_same_page(tmp_path):
    for name in ("a.html", "b.html"):
        torch.manual_seed(len(list(tmp_path.iterdir())))
        written(tmp_path / name, shading="deferred")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_colours_without_direction_and_scenes_without_end(tmp_path):
    written(tmp_path / "a.html", model(unbounded=True, radius=0.5), [], bands=1)
    header, parts = contents(tmp_path / "a.html")
    assert header["contracted"] and not header["directed"]
    assert header["blocks"] == 2 * 48 / 6
    assert (parts["colors"].reshape(-1, 4)[:, 1:] == 128).all()
    place = parts["place"].reshape(16, 16, 16, 4)
    assert (place[:2, ..., 3] == 0).any()  # something is stored far outside the box


def test_steps_that_depend_on_the_ray_are_refused(tmp_path):
    made = model().baked(Baked(8, 6, 1))
    made = RadianceModel(made.configs[0], Uniform(8), made.info)
    with pytest.raises(InputError, match="same on every ray"):
        written(tmp_path / "a.html", made)
    assert list(tmp_path.iterdir()) == []


def test_runs_of_bytes_are_written_as_they_are(tmp_path):
    made = model().baked(Baked(8, 6, 2))
    written(tmp_path / "a.html", made)
    with pytest.raises(InputError, match="--steps 5"):
        written(tmp_path / "b.html", made, steps=5)
    with pytest.raises(InputError, match="one or two bands"):
        written(tmp_path / "b.html", model().baked(Baked(4, 6, 3)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_the_first_view_is_that_of_the_camera_of_middle_height(tmp_path):
    cameras = views(5)
    written(tmp_path / "a.html", cameras=cameras, steps=0)
    header, _ = contents(tmp_path / "a.html")
    wanted = sorted(cameras, key=lambda camera: float(camera.pose[2, 3]))[2]
    assert np.allclose(header["eye"], FRAME.normalised(wanted.pose[:3, 3]), atol=1e-9)
    assert header["fov"] == pytest.approx(2 * np.arctan(0.5 * min(48 / 62.4, 40 / 60)))


def test_a_page_that_is_too_large_or_empty_is_one_line(tmp_path, monkeypatch):
    from polyfield.renderers.exports import shell

    monkeypatch.setattr(shell, "LARGEST", 1000)
    with pytest.raises(InputError, match="a smaller --resolution"):
        written(tmp_path / "a.html")
    made = model()
    made.renderer.sampler.adopt(torch.zeros(32, 32, 32))
    with pytest.raises(InputError, match="something in it"):
        written(tmp_path / "a.html", made)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def browser():
    """Chromium with WebGL in software."""
    with pages.chromium() as found:
        yield found


def drawn(page, camera):
    """What the page draws for a camera of the data's frame."""
    numbers = [
        camera.pose.flatten().tolist(),
        camera.width,
        camera.height,
        camera.fl_x,
        camera.fl_y,
        camera.cx,
        camera.cy,
    ]
    script = "(a) => Array.from(polyfield.render(...a))"
    pixels = np.array(page.evaluate(script, numbers), np.uint8)
    return pixels.reshape(camera.height, camera.width, 4)[..., :3] / 255


@pytest.mark.parametrize("color_space", ["srgb", "linear"])
@pytest.mark.parametrize(
    "config",
    [Baked(8, 6, 1), Baked(8, 6, 2), Baked(8, 6, 2, 16.0), Deferred(8, 6)],
    ids=["flat", "sh", "wide", "deferred"],
)
@pytest.mark.slow
def test_a_browser_draws_what_python_does(tmp_path, browser, color_space, config):
    from polyfield.scenes.color import srgb_from_linear

    made = noisy(model(color_space=color_space).baked(config))
    written(tmp_path / "a.html", made)
    page = opened(browser, tmp_path / "a.html")
    assert page.evaluate("polyfield.error") is None
    scores = []
    for camera in views():
        wanted = made.render(camera).color
        wanted = srgb_from_linear(wanted.clamp(min=0)) if color_space == "linear" else wanted
        error = np.square(drawn(page, camera) - wanted.clamp(0, 1).numpy()).mean()
        scores.append(-10 * np.log10(error))
        assert np.ptp(wanted.numpy()) > 0.3  # there is something to see
    assert min(scores) > 45, scores
    page.context.close()


@pytest.mark.parametrize(("sky", "cone"), [(None, 0.0), (Sky(), 0.0), (None, 0.02)])
@pytest.mark.slow
def test_a_browser_draws_what_lies_outside_of_the_box(tmp_path, browser, sky, cone):
    """From inside, from far outside, and past the box; rays that start in the box and don't."""
    made = model(unbounded=True, sky=sky, radius=0.48).baked(Baked(16, 6, 2))
    # Not everything outside is stored: rays leap.
    kept = made.renderer.sampler.occupied.float().mean()
    assert 0.2 < kept < 0.8
    if sky is not None:
        with torch.no_grad():
            for parameter in made.corrections.sky.parameters():
                parameter.mul_(3)
    if cone:
        again = RadianceModel(made.configs[0], replace(made.configs[1], cone=cone), made.info)
        again.load_state_dict(made.state_dict())
        made = again.eval()
    written(tmp_path / "a.html", made)
    page = opened(browser, tmp_path / "a.html")
    assert page.evaluate("polyfield.error") is None
    scores = []
    for far, camera in itertools.product((0.1, 1.0, 3.0), views(3)):
        pose = camera.pose.clone()
        pose[:3, 3] = torch.tensor(FRAME.center) + far * (pose[:3, 3] - torch.tensor(FRAME.center))
        camera = replace(camera, pose=pose)
        wanted = made.render(camera)
        error = np.square(drawn(page, camera) - wanted.color.clamp(0, 1).numpy()).mean()
        scores.append(-10 * np.log10(error))
        assert np.ptp(wanted.color.numpy()) > 0.2
    assert min(scores) > 45, scores
    page.context.close()


@pytest.mark.slow
def test_it_turns_stays_in_the_address_and_resets(tmp_path, browser):
    written(tmp_path / "a.html")
    page = opened(browser, tmp_path / "a.html")
    page.wait_for_function("polyfield.frames > 0", timeout=60000)
    assert page.evaluate("location.hash") == ""
    page.mouse.move(160, 120)
    page.mouse.down()
    page.mouse.move(220, 130, steps=4)
    page.mouse.up()
    page.wait_for_function("location.hash.length > 10", timeout=60000)
    turned = page.evaluate("location.hash")
    page.keyboard.press("w")
    page.mouse.wheel(0, 120)
    page.wait_for_function("(h) => location.hash !== h", arg=turned, timeout=60000)
    page.click("#help")
    assert page.is_visible("#keys")
    before = page.evaluate("location.hash")
    page.click("#reset")
    page.wait_for_function("(h) => location.hash !== h", arg=before, timeout=60000)
    page.context.close()


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('id="data">e', 'id="data">x', "damaged"),
        ('"format": 1', '"format": 2', "another version"),
        ('{"format"', '{{"format"', "damaged"),
        ("getContext('webgl2'", "getContext('webgl9'", "WebGL 2"),
        ("gl.getParameter(gl.MAX_3D_TEXTURE_SIZE)", "8", "--resolution"),
        ('["density", ', '["density", 1', "not whole"),
    ],
)
@pytest.mark.slow
def test_what_can_not_be_drawn_is_one_sentence(tmp_path, browser, old, new, word):
    written(tmp_path / "a.html")
    path = tmp_path / "b.html"
    text = (tmp_path / "a.html").read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    page = opened(browser, path)
    assert word in page.inner_text("#message") and page.is_visible("#message")
    page.context.close()

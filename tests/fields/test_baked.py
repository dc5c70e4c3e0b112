"""Fields of bytes: baked from a teacher, kept in a file, and nothing where nothing is."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from polyfield.encodings.domain import Box, Contraction, Domain
from polyfield.errors import InputError
from polyfield.fields.baked import Baked
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.renderers.model_files import load_model, save_model
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.tensors import load_tensors, save_tensors

BOX = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
CONFIG = Baked(blocks=8, cells=4, bands=2)


class Smooth(RadianceField):
    """Density and colours that change slowly; colours linear in the direction, before a sigmoid."""

    def __init__(self, domain: Domain) -> None:
        super().__init__()
        self.domain = domain

    def groups(self) -> dict[str, list]:
        return {}

    def geometry(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return 3 * torch.sin(2 * x[..., 0]) + x[..., 1] + 2, None

    def forward(self, x: Tensor, directions: Tensor) -> RadianceSample:
        log, _ = self.geometry(x)
        rgb = torch.sigmoid(torch.sin(2 * x) + 0.5 * directions * x[..., :1])
        return RadianceSample(log.exp() / self.domain.length, rgb, log)


def half(x: Tensor) -> Tensor:
    return x[:, 2] > 0


@pytest.mark.parametrize("domain", [Box(BOX), Contraction(BOX)])
def test_it_says_what_its_teacher_says(domain: Domain) -> None:
    teacher = Smooth(domain)
    field = CONFIG.build(domain)
    cells = field.bake(teacher, half)
    assert cells is not None and cells.shape == (8, 8, 8)
    x = domain.inverse(torch.rand(2000, 3) * 0.5 + 0.25)
    directions = torch.nn.functional.normalize(torch.randn(2000, 3), dim=1)
    stored = field.is_stored(x)
    assert torch.equal(stored, x[:, 2] > 0)
    with torch.no_grad():
        ours, theirs = field(x, directions), teacher(x, directions)
    assert (ours.density[~stored] < 1e-12).all() and (field.density(x)[~stored] < 1e-12).all()
    error = (ours.log_density - theirs.log_density)[stored].abs()
    assert float(error.mean()) < 0.06 and float(error.max()) < 0.4
    assert float((ours.rgb - theirs.rgb)[stored].abs().mean()) < 0.02
    torch.testing.assert_close(field.density(x), ours.density)


def test_a_wider_span_holds_darker_colours() -> None:
    """The mean over directions of colours near 0 is what bytes can say, or it is cut off."""

    class Dark(Smooth):
        def forward(self, x: Tensor, directions: Tensor) -> RadianceSample:
            found = super().forward(x, directions)
            return RadianceSample(found.density, 0.02 + 0 * found.rgb, found.log_density)

    x, directions = torch.rand(100, 3) * 0.9, torch.nn.functional.normalize(torch.randn(100, 3))
    found = {}
    for span in (8.0, 16.0):
        field = Baked(blocks=8, cells=4, bands=2, span=span).build(Box(BOX))
        field.bake(Dark(field.domain), half)
        with torch.no_grad():
            found[span] = field(x, directions).rgb
    torch.testing.assert_close(found[16.0], torch.full((100, 3), 0.02), atol=2e-3, rtol=0)
    assert float(found[8.0].min()) > 0.09


def test_a_file_holds_as_many_blocks_as_there_are(tmp_path: Path) -> None:
    info = SceneInfo(BOX, False, "srgb", (1.0, 1.0, 1.0))
    model = RadianceModel(CONFIG, OccupancyGrid(resolution=8), info)
    model.field.bake(Smooth(model.field.domain), half)
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    again = load_model(path)
    x, directions = torch.rand(100, 3) - 0.5, torch.zeros(100, 3) + torch.tensor([0.0, 0.0, 1.0])
    assert torch.equal(again.field(x, directions).rgb, model.field(x, directions).rgb)
    tensors, meta = load_tensors(path)
    tensors = {key: tensor.clone() for key, tensor in tensors.items()}
    for change in (
        lambda t: t.update({"field.table": t["field.table"][:-1]}),
        lambda t: t["field.slot"].view(-1)[:1].fill_(9999),
        lambda t: t["field.slot"].fill_(-1),
    ):
        spoilt = {key: tensor.clone() for key, tensor in tensors.items()}
        change(spoilt)
        save_tensors(path, spoilt, meta)
        with pytest.raises(InputError, match="a whole polyfield model"):
            load_model(path)


def test_a_file_in_which_each_block_has_its_own_copies_is_read(tmp_path: Path) -> None:
    info = SceneInfo(BOX, False, "srgb", (1.0, 1.0, 1.0))
    model = RadianceModel(CONFIG, OccupancyGrid(resolution=8), info)
    model.field.bake(Smooth(model.field.domain), half)
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    tensors, meta = load_tensors(path)
    rows = tensors["field.table"].view(-1, 13)
    copies = rows[model.field.vertex.long()].reshape(-1)  # type: ignore[operator]
    assert len(copies) > 1.5 * len(tensors["field.table"])
    save_tensors(path, {**tensors, "field.table": copies}, meta)
    torch.testing.assert_close(load_model(path).field.table, model.field.table)


def test_a_teacher_with_nothing_in_it_is_one_line() -> None:
    field = CONFIG.build(Box(BOX))
    with pytest.raises(InputError, match="something in it"):
        field.bake(Smooth(field.domain), lambda x: torch.zeros(len(x), dtype=torch.bool))


def test_large_grids_begin_with_nothing() -> None:
    field = Baked(blocks=128, cells=8).build(Box(BOX))
    assert len(field.table) == 0
    assert (field.density(torch.rand(5, 3)) < 1e-12).all()

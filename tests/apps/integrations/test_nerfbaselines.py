"""The method of nerfbaselines, by the form of its protocol: nerfbaselines itself is not needed."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

import polyfield
from polyfield.apps.integrations.nerfbaselines_data import camera_of, write_capture
from polyfield.apps.integrations.nerfbaselines_method import PolyfieldMethod
from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.demo.capture import Analytic
from polyfield.tensors import save_tensors
from polyfield.training.loop import Fit

FEW = {"iterations": 8, "preset": "voxels", "device": "cpu"}


@dataclass
class Cameras:
    """As nerfbaselines': numpy arrays of all, or of one."""

    poses: np.ndarray
    intrinsics: np.ndarray
    camera_models: np.ndarray
    distortion_parameters: np.ndarray
    image_sizes: np.ndarray

    def __getitem__(self, i):
        return Cameras(*(values[i] for values in vars(self).values()))


@pytest.fixture(scope="module")
def dataset():
    """The demo scene as nerfbaselines would load it: OpenCV axes, uint8 with alpha."""
    capture = Analytic(size=16, train=6, val=1, test=1).open("demo", ReadOptions())
    ours = [capture.cameras("train")[i] for i in range(6)]
    images = [capture.pixels("train", i) for i in range(6)]
    poses = np.stack([camera.pose.double().numpy()[:3] for camera in ours])
    poses[:, :, 1:3] *= -1
    cameras = Cameras(
        poses.astype(np.float32),
        np.array([[c.fl_x, c.fl_y, c.cx, c.cy] for c in ours], np.float32),
        np.zeros(6, np.int32),
        np.zeros((6, 0), np.float32),
        np.array([[c.width, c.height] for c in ours], np.int32),
    )
    assert images[0].dtype == np.uint8 and images[0].shape[2] == 4
    return {"cameras": cameras, "images": images, "masks": None,
            "metadata": {"background_color": np.array([255, 255, 255], np.uint8)}}  # fmt: skip


def _train(method, steps):
    return [method.train_iteration(step)["loss"] for step in steps]


def test_it_trains_saves_renders_and_goes_on(dataset, tmp_path):
    method = PolyfieldMethod(train_dataset=dataset, config_overrides=FEW)
    info = method.get_info()
    assert info["num_iterations"] == 8 and info["loaded_step"] is None
    assert info["required_features"] == {"color"} and "pinhole" in info["supported_camera_models"]
    first = _train(method, range(4))
    method.save(str(tmp_path / "a"))
    camera = dataset["cameras"][0]
    seen = method.render(camera)
    width, height = camera.image_sizes
    assert seen["color"].shape == (height, width, 3) and seen["color"].dtype == np.float32
    assert seen["depth"].shape == seen["accumulation"].shape == (height, width)
    rest = _train(method, range(4, 8))
    # From the checkpoint: the same picture, the same steps, the same file again.
    again = PolyfieldMethod(checkpoint=str(tmp_path / "a"), train_dataset=dataset)
    assert again.get_info()["loaded_step"] == 4 and again.hparams["preset"] == "voxels"
    assert np.array_equal(again.render(camera)["color"], seen["color"])
    assert _train(again, range(4, 8)) == rest and np.isfinite(first + rest).all()
    alone = PolyfieldMethod(checkpoint=str(tmp_path / "a"))
    assert np.array_equal(alone.render(camera)["color"], seen["color"])
    alone.save(str(tmp_path / "b"))
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    model = polyfield.load(tmp_path / "a" / "model.safetensors")
    color = model.render(camera_of(camera)).color.clamp(0, 1).numpy()
    assert np.array_equal(color, seen["color"])


def test_its_steps_are_those_of_the_loop(dataset):
    """`advance` is what `run` does."""
    method = PolyfieldMethod(train_dataset=dataset, config_overrides=FEW)
    other = PolyfieldMethod(train_dataset=dataset, config_overrides=FEW)
    stepped = _train(method, range(8))
    losses: list[float] = []
    assert isinstance(other._loop, Fit)
    other._loop.run(lambda progress: losses.append(progress.loss))
    assert losses == stepped


def test_it_ends_as_a_fit_does(dataset, tmp_path):
    """With an occupancy grid that has looked at all there is."""
    method = PolyfieldMethod(train_dataset=dataset, config_overrides=FEW)
    ours = method.model.renderer.sampler
    _train(method, range(7))
    assert ours.value.isinf().any()
    _train(method, [7])
    write_capture(tmp_path / "data", dataset)
    steps = {"steps": FEW["iterations"], "preset": FEW["preset"], "device": FEW["device"]}
    theirs = polyfield.fit("scene", tmp_path / "data", **steps).renderer.sampler
    assert ours.value.isfinite().all() and torch.equal(ours.value, theirs.value)
    assert torch.equal(ours.occupied, theirs.occupied)


def test_cameras_are_in_the_datas_frame(dataset):
    camera = camera_of(dataset["cameras"][2])
    theirs = dataset["cameras"].poses[2]
    assert torch.allclose(-camera.pose[:3, 2], torch.tensor(theirs[:, 2]).double())
    lens = dataset["cameras"][2]
    lens.camera_models, lens.distortion_parameters = np.int32(1), np.array([0.1, 0.2, 0.3, 0.4])
    assert camera_of(lens).lens.k1 == pytest.approx(0.1)
    assert camera_of(lens).lens.p2 == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"presett": "hash"}, "presett"), ({"preset": "hsah"}, "hash"), ({"iterations": "x"}, "whole"),
     ({"iterations": 0}, "1 or more")],
)  # fmt: skip
def test_wrong_options_are_one_line(dataset, given, said):
    with pytest.raises(InputError, match=said) as caught:
        PolyfieldMethod(train_dataset=dataset, config_overrides=given)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("about", "said"),
    [("[]", "object"), ("{}", "step"), ('{"step": "4", "hparams": {}}', "step"),
     ('{"step": -1, "hparams": {}}', "step"), ('{"step": 4}', "hparams"),
     ('{"step": 4, "hparams": [1]}', "hparams"), ("{", "JSON"), (None, "polyfield.json")],
)  # fmt: skip
def test_a_wrong_checkpoint_is_one_line(tmp_path, about, said):
    if about is not None:
        (tmp_path / "polyfield.json").write_text(about)
    with pytest.raises(InputError, match=said) as caught:
        PolyfieldMethod(checkpoint=str(tmp_path))
    assert str(caught.value).count("\n") == 0


def test_a_missing_or_wrong_state_is_one_line(dataset, tmp_path):
    folder, copy = tmp_path / "a", tmp_path / "b"
    PolyfieldMethod(train_dataset=dataset, config_overrides=FEW).save(str(folder))
    (folder / "state.safetensors").unlink()
    with pytest.raises(InputError, match="state of training"):
        PolyfieldMethod(checkpoint=str(folder)).save(str(copy))
    assert not copy.exists()
    with pytest.raises(InputError, match="state.safetensors"):
        PolyfieldMethod(checkpoint=str(folder), train_dataset=dataset)
    save_tensors(folder / "state.safetensors", {"a": torch.ones(1)}, {"kind": "training"})
    with pytest.raises(InputError, match="progress"):
        PolyfieldMethod(checkpoint=str(folder), train_dataset=dataset)
    (folder / "model.safetensors").rename(folder / "state.safetensors")
    with pytest.raises(InputError, match="state of training"):
        PolyfieldMethod(checkpoint=str(folder), train_dataset=dataset)


def test_what_it_does_not_take(dataset):
    with pytest.raises(InputError, match="neither"):
        PolyfieldMethod()
    fisheye = dataset["cameras"][0]
    fisheye.camera_models = np.int32(2)
    with pytest.raises(InputError, match="pinhole or opencv"):
        camera_of(fisheye)

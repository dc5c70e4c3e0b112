"""The generators: each a strategy of cases, by name."""

from __future__ import annotations

import json
from collections.abc import Callable

import hostile
import models
import paths
import pictures
import snapshots
import sounds
import words
import yaml
from case import Case, Entry, Fifo, Files, Folder, Link
from hypothesis import strategies as st
from seeds import ONE, SMALL, Seeds, blender, scene_files, transforms

Strategy = st.SearchStrategy[Case]

LENS = {
    "fl_x": 12.0, "fl_y": 12.0, "cx": 5.0, "cy": 4.0, "w": 10, "h": 8, "k1": 0.1, "k2": 0.1,
    "p1": 0.01, "p2": 0.01, "k3": 0.1, "k4": 0.0, "is_fisheye": True, "camera_model": "OPENCV",
    "camera_angle_x": 0.7, "camera_angle_y": 0.5, "x_fov": 40, "ftheta_p0": 1,
}  # fmt: skip
CAPTURE_KEYS = tuple({
    **LENS, "aabb_scale": 1, "scale": 0.5, "offset": [0, 0, 0], "up": [0, 0, 1], "aabb": [[0, 0,
    0], [1, 1, 1]],
    "mask_path": "p/0.png", "depth_file_path": "p/1.png", "train_filenames": ["p/0.png", "p/1.png"],
    "val_filenames": ["p/1.png"], "test_filenames": ["p/2.png"], "white_transparent": True,
    "black_transparent": True, "mask_color": [0, 0, 0], "applied_transform": [[1, 0, 0, 0], [0, 1,
    0, 0], [0, 0, 1, 0]],
    "applied_scale": 2, "ply_file_path": "x.ply", "enable_depth_loading": True, "time": 0.5,
    "sharpness": 3,
    "rolling_shutter": [0, 0, 0, 1], "from_na": True, "from_mitsuba": True, "render_aabb": [[0, 0,
    0], [1, 1, 1]],
    "crop": 1, "is_hdr": True, "linear": True, "driver_parameters": {}, "frames": [],
    "orientation_override": "none", "transform_matrix_start": [[1, 0, 0, 0]],
    "n_extra_learnable_dims": 3,
}.items())  # fmt: skip


@st.composite
def captures(draw: st.DrawFn, seeds: Seeds) -> Case:
    """`fit scene` of a capture that is not as it should be."""
    form = draw(st.sampled_from(("blender", "transforms")))
    files = scene_files(form)
    tree = blender() if form == "blender" else transforms()
    names = [n for n in files if n.endswith(".json")]
    target = draw(st.sampled_from(names))
    how = draw(st.integers(0, 9))
    if how <= 5:
        files[target] = draw(hostile.json_bytes(draw(hostile.changed(tree, 3, CAPTURE_KEYS))))
    if how >= 5:
        files = draw(_other_pictures(files))
    if how == 9:
        files = draw(_other_files(files, names))
    flags = draw(words.some("fit scene", seeds, most=1)) if draw(st.integers(0, 4)) == 0 else ()
    return Case(
        "captures", ("fit", "scene", "data", *SMALL["scene"], *ONE, "--out", "o", *flags), files
    )


@st.composite
def _other_pictures(draw: st.DrawFn, files: Files) -> Files:
    files = dict(files)
    for name in draw(
        st.lists(st.sampled_from([n for n in files if "/p/" in n]), min_size=1, max_size=2)
    ):
        ending, content = draw(pictures.picture())
        del_only = draw(st.integers(0, 5)) == 0
        files.pop(name, None)
        if not del_only:
            same = draw(st.booleans())
            files[name if same else f"{name.rpartition('.')[0]}.{ending or 'x'}"] = content
    return files


@st.composite
def _other_files(draw: st.DrawFn, files: Files, names: list[str]) -> Files:
    files = dict(files)
    name = draw(st.sampled_from(names))
    entry: Entry = draw(
        st.sampled_from((Folder(), Fifo(), Link("/dev/zero"), Link("nowhere"), b""))
    )
    other = draw(
        st.sampled_from(
            (name, "data/transforms.json", "data/transforms_val.json", "data/transforms_test.json")
        )
    )
    files[other] = draw(st.sampled_from((entry, files[name])))
    if other != name and draw(st.booleans()):
        del files[name]
    return files


@st.composite
def images(draw: st.DrawFn, seeds: Seeds) -> Case:
    """`fit image` of something."""
    ending, entry = draw(pictures.picture())
    name = f"x.{ending}" if ending else "x"
    flags = draw(words.some("fit image", seeds, most=1)) if draw(st.integers(0, 3)) == 0 else ()
    return Case(
        "images", ("fit", "image", name, *SMALL["image"], *ONE, "--out", "o", *flags), {name: entry}
    )


@st.composite
def noises(draw: st.DrawFn, seeds: Seeds) -> Case:
    """`fit sound` of something."""
    ending, entry = draw(sounds.sound())
    name = f"x.{ending}" if ending else "x"
    flags = draw(words.some("fit sound", seeds, most=1)) if draw(st.integers(0, 3)) == 0 else ()
    return Case(
        "sounds", ("fit", "sound", name, *SMALL["sound"], *ONE, "--out", "o", *flags), {name: entry}
    )


def _uses(kind: str, seeds: Seeds) -> st.SearchStrategy[tuple[str, ...]]:
    """Commands that take a run."""
    out = {"scene": "o", "image": "o.png", "sound": "o.wav"}[kind]
    small = ("--frames", "1", "--size", "4x4") if kind == "scene" else ()
    every = ("--threads", "1", "--device", "cpu")
    taken = ("export", "run", "--to")
    return st.sampled_from((
        (*taken, "mesh", "--resolution", "12", "--out", "o.ply", *every),
        (*taken, "volume", "--resolution", "8", "--out", "o.nrrd", *every),
        (*taken, "points", "--views", "2", "--count", "50", "--out", "o.ply", *every),
        ("info", "run"),
        ("info", "run", "--json"),
        ("info", "run/model.safetensors"),
        ("evaluate", "run", *every),
        ("evaluate", "run", "--overwrite", *every),
        ("render", "run", "--out", out, *small, *every),
        ("distill", "run", "--to", "hash", "--out", "o", *ONE),
        ("distill", "run", "--to", "dense", "--out", "o", *ONE),
        (*seeds.commands[kind], "--resume"),
        seeds.commands[kind],
        (*seeds.commands[kind], "--overwrite"),
    ))  # fmt: skip


@st.composite
def checkpoints(draw: st.DrawFn, seeds: Seeds) -> Case:
    """A run whose model or checkpoint is another."""
    kind = draw(st.sampled_from(sorted(seeds.runs)))
    files = dict(seeds.runs[kind])
    name = draw(st.sampled_from(("run/model.safetensors", "run/state.safetensors")))
    content = files[name]
    assert isinstance(content, bytes)
    if draw(st.integers(0, 9)) == 0:
        other = seeds.runs[draw(st.sampled_from(sorted(seeds.runs)))]
        files[name] = other[
            draw(st.sampled_from(("run/model.safetensors", "run/state.safetensors")))
        ]
    else:
        files[name] = draw(models.model(content))
    if name.endswith("state.safetensors") and draw(st.integers(0, 3)) > 0:
        files.pop("run/metrics.json", None)
        return Case("checkpoints", (*seeds.commands[kind], "--resume"), files)
    return Case("checkpoints", draw(_uses(kind, seeds)), files)


@st.composite
def runs(draw: st.DrawFn, seeds: Seeds) -> Case:
    """A run whose other files are not as they should be."""
    kind = draw(st.sampled_from(sorted(seeds.runs)))
    files = dict((seeds.runs if draw(st.booleans()) else seeds.half)[kind])
    mine = [n for n in files if n.startswith("run/")]
    texts = [n for n in mine if n.endswith((".json", ".yaml"))]
    how = draw(st.integers(0, 9))
    if how <= 6 and texts:
        name = draw(st.sampled_from(texts))
        content = files[name]
        assert isinstance(content, bytes)
        if name.endswith(".json"):
            tree = draw(hostile.changed(json.loads(content), 2))
            files[name] = draw(hostile.json_bytes(tree))
        else:
            tree = draw(hostile.changed(yaml.safe_load(content), 2))
            files[name] = draw(words.yaml_bytes(tree))
    else:
        name = draw(st.sampled_from((*mine, "data", "run/log", "run/.part-x.json")))
        below = [n for n in files if n.startswith(name)]
        for gone in below:
            del files[gone]
        entry = draw(
            st.sampled_from((None, Folder(), Fifo(), Link("nowhere"), Link("/dev/zero"), b"", b"x"))
        )
        if entry is not None:
            files[name] = entry
    return Case("runs", draw(_uses(kind, seeds)), files)


@st.composite
def camera_paths(draw: st.DrawFn, seeds: Seeds) -> Case:
    """`render --path FILE`."""
    content = draw(paths.path())
    files = {**seeds.runs["scene"], "p.json": content}
    flags = draw(words.some("render", seeds, most=1)) if draw(st.integers(0, 3)) == 0 else ()
    size = ("--size", "3x3") if draw(st.booleans()) else ()
    out = draw(st.sampled_from(("o", "o", "o", "o.mp4")))
    command = (
        "render",
        "run",
        "--path",
        "p.json",
        "--out",
        out,
        *size,
        "--frames",
        "2",
        "--threads",
        "1",
    )
    if draw(st.booleans()):
        command = tuple(w for w in command if w not in ("--frames", "2"))
    return Case("camera paths", (*command, *flags), files)


@st.composite
def configs(draw: st.DrawFn, seeds: Seeds) -> Case:
    """`--config FILE.yaml`."""
    kind = draw(st.sampled_from(sorted(seeds.runs)))
    content = seeds.runs[kind]["run/config.yaml"]
    assert isinstance(content, bytes)
    tree = yaml.safe_load(content)
    files = {n: e for n, e in seeds.runs[kind].items() if n.startswith("data")}
    how = draw(st.integers(0, 9))
    if how == 0:
        files["c.yaml"] = draw(st.sampled_from(words.YAMLS))
    else:
        if draw(st.booleans()):
            tree = {k: tree[k] for k in ("field", "fit", "objective", "read")}
        files["c.yaml"] = draw(words.yaml_bytes(draw(hostile.changed(tree, 2, words.CONFIG_KEYS))))
    data = next(w for w in seeds.commands[kind][2:])
    return Case("configs", ("fit", kind, data, "--config", "c.yaml", *ONE, "--out", "o"), files)


@st.composite
def imports(draw: st.DrawFn, seeds: Seeds) -> Case:
    """`import` of a file that is not as it should be."""
    kind = draw(st.sampled_from(("scene", "image")))
    name = draw(st.sampled_from(("x.msgpack", "x.ingp")))
    size = snapshots.SIZE if kind == "image" else ()
    files: Files = {name: draw(snapshots.files(kind))}
    return Case("imports", ("import", name, "--out", "o", *size), files)


@st.composite
def lines(draw: st.DrawFn, seeds: Seeds) -> Case:
    """Command lines with flags, values and words that nobody needs."""
    verb = draw(st.sampled_from(sorted(seeds.flags)))
    kind = verb.partition(" ")[2] or draw(st.sampled_from(sorted(seeds.runs)))
    files = seeds.runs[kind]
    data = seeds.commands[kind][2]
    base: tuple[str, ...] = {
        "fit": ("fit", kind, data, *SMALL[kind], *ONE, "--out", "o"),
        "compare": ("compare", kind, data, "--presets", "hash,dense", *ONE, "--out", "o"),
        "evaluate": ("evaluate", "run", "--threads", "1"),
        "render": (
            "render",
            "run",
            "--out",
            {"scene": "o", "image": "o.png", "sound": "o.wav"}[kind],
            "--threads",
            "1",
        ),
        "distill": ("distill", "run", "--to", "hash", "--out", "o", *ONE),
        "info": ("info", "run"),
        "export": (
            *("export", "run", "--to", "mesh", "--out", "o.ply"),
            *("--resolution", "12", "--threads", "1"),
        ),
        "import": ("import", "x.msgpack", "--out", "o", *snapshots.SIZE),
    }[verb.partition(" ")[0]]
    if base[0] == "import":
        files = {"x.msgpack": snapshots.content("image")}
    if base[0] == "render" and kind == "scene":
        base = (*base, "--frames", "1", "--size", "4x4")
    return Case("lines", draw(words.line(base, verb, seeds)), files)


GENERATORS: dict[str, Callable[[Seeds], Strategy]] = {
    "captures": captures,
    "images": images,
    "sounds": noises,
    "checkpoints": checkpoints,
    "runs": runs,
    "camera paths": camera_paths,
    "configs": configs,
    "imports": imports,
    "lines": lines,
}

"""Words of the command line and of YAML files."""

from __future__ import annotations

from typing import Any

import hostile
import yaml
from hypothesis import strategies as st
from seeds import Seeds

VALUES = (
    "0", "1", "2", "3", "8", "-1", "0.5", "1e-3", "1e3", "1e9", "1000000000", "1e30", "1e400",
    "nan", "inf", "-inf", "NaN",
    "1_000", "0x10", "０", "١", "1,2,3", "1 2 3", "", " ", "x", "white", "black", "random", "0,0,0",
    "2,0,0", "nan,0,0",
    "none", "None", "null", "true", "False", "auto", "cpu", "cuda", "cuda:0", "cuda:99", "cuda:-1",
    "mps", "meta", "hash",
    "dense", "hash,dense", "hash,hash", "hash,", ",", "*", "mlp", "siren", "lattice", "0.9", "1.0",
    "test", "train", "val", "all",
    "orbit", "interpolate", "4x4", "4X4", "0x0", "-1x4", "4x", "x", "65536x65536", "1000000000x1",
    "4x4x4", "data",
    "run", "run/config.yaml", "run/model.safetensors", "data/x.png", "demo", "o", "o/p/q",
    "/dev/null/x", "/proc/x", "..",
    ".", "~", "~nobody", "", "-", "--", "--out", "-h", "a" * 300, "a/" * 200, "9" * 5000,
    "-" + "9" * 5000, "1" + "0" * 400, "\x1b[2J",
    "\n", "日本", "\udcff", "%s", "{}", "$(x)", "!!", "[]", "{}", "{a: 1}", "[1, 2]", "1.", ".5",
    "+1", "1e", "--1", "2147483648",
    "9223372036854775807", "9223372036854775808", "18446744073709551616", "1e-45", "mse", "huber",
    "linear", "smoothstep", "sigmoid",
    "color", "depth", "opacity", "pvd", "pvd-al", "kilonerf", "values", "scene", "image", "sound",
    "mesh", "points", "splats", "volume", "images", "o.glb", "o.ply", "o.obj", "o.raw", "o.splat",
)  # fmt: skip
HEAVY = frozenset({"--seconds", "--presets", "--baseline", "--matrix"})
"""Flags whose good values cost minutes; they get bad ones alone."""
BAD = ("-1", "nan", "x", "", "0", "9" * 5000, "inf", "--out")
FEW = {
    "--steps": ("0", "-1", "1", "2", "x", "", "1.5", "1e3", "nan", "9" * 30, "9" * 5000),
    "--resolution": ("0", "-1", "1", "8", "12", "x", "", "1.5", "1e3", "nan", "9" * 30, "9" * 5000),
    "--seeds": ("0", "-1", "1", "2", "x", "", "1.5", "nan", "1001", "9" * 30, "9" * 5000),
}
"""Of flags that say how much to do, what they may say."""

CONFIG_KEYS = tuple({
    "field": "Radiance", "sampler": "Uniform", "kind": "scene", "preset": "mlp", "polyfield": "9",
    "levels": 3,
    "fit": {"steps": 1}, "rates": {"table": 1e9}, "drops": [0.5], "read": {"downscale": 2},
    "HashGrid": {},
    "DenseGrid": {}, "Perceptron": {}, "Siren": {}, "Coordinate": {}, "objective": None,
    "seed": -1, "threads": 0,
}.items())  # fmt: skip

BOMB = b"a0: &a0 [x,x]\n" + b"".join(
    b"a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n" % (i, i, *(i - 1,) * 6) for i in range(1, 10)
)
YAMLS = (
    b"", b"---\n---\n", b"- 1", b"x", b"a: &a [*a]", b"a: &a {b: *a}", BOMB, b"fit: " + b"[" * 3000,
    b"fit: {steps: " + b"9" * 5000 + b"}", b"fit: !!python/object/apply:os.system [ls]", b"\t- x",
    b"? [a, b]\n: 1",
    b"fit: 2001-13-45", b"fit: {steps: 1:30}", b"fit: {steps: 0o17}", b"\xff\xfe\0",
    b"fit: {<<: {steps: 1}}", b"fit: &x {<<: *x}",
    b"%YAML 9.9\n---\nfit: {}", b"fit: {steps: 1, steps: 2}", b"1: 2", b"null: 1", b"{[1]: 2}",
    b"fit: !!set {a}", b"fit: !!binary aGk=",
    b"x: " + b"a" * 100_000, b"fit: {1.5: 2}", b"preset: [1]", b"preset: {a: 1}",
    b"fit: {rates: {table: .inf}}", b"fit: {rates: {table: .nan}}",
    b"field: {Coordinate: {encoding: {HashGrid: {levels: 1000000000}}}}",
    b"field: {Coordinate: {network: {Perceptron: {layers: 1000000000}}}}",
    b"field: {Coordinate: {network: {Perceptron: {hidden: 1000000000}}}}",
)  # fmt: skip


def _value(flag: str) -> st.SearchStrategy[str]:
    if flag in FEW:
        return st.sampled_from(FEW[flag])
    return st.sampled_from(BAD if flag in HEAVY else VALUES)


@st.composite
def some(draw: st.DrawFn, verb: str, seeds: Seeds, most: int = 3) -> tuple[str, ...]:
    """Flags of a verb with values that may be anything."""
    found: list[str] = []
    for _ in range(draw(st.integers(1, most))):
        flag = draw(st.sampled_from(seeds.flags[verb]))
        if flag == "--help":
            continue
        how = draw(st.integers(0, 9))
        if how == 0:
            found.append(flag)
        elif how == 1:
            found.append(f"{flag}={draw(_value(flag))}")
        elif how == 2:
            found += [flag, draw(_value(flag)), draw(_value(flag))]
        else:
            found += [flag, draw(_value(flag))]
    return tuple(word.replace("\0", "") for word in found)


@st.composite
def line(draw: st.DrawFn, base: tuple[str, ...], verb: str, seeds: Seeds) -> tuple[str, ...]:
    """A good command line, with flags added and words changed."""
    words = [*base, *draw(some(verb, seeds))]
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        at = draw(st.integers(0, len(words) - 1))
        how = draw(st.integers(0, 5))
        if how == 0:
            del words[at]
        elif how == 1:
            words.insert(at, draw(st.sampled_from(VALUES)))
        elif how == 2 and words[at].startswith("--"):
            words[at] = draw(
                st.sampled_from(
                    (
                        words[at][:-1],
                        words[at].upper(),
                        words[at][1:],
                        words[at] + "x",
                        words[at].replace("-", "_"),
                    )
                )
            )
        elif how == 3:
            words = words[:at]
        elif how == 4 and not any(w in ("--steps", "1") for w in words[at : at + 1]):
            words[at] = draw(st.sampled_from(VALUES))
        else:
            words.insert(at, words[at])
        if not words:
            break
    if words and words[0] in ("fit", "compare", "distill"):
        # Whatever became of the budget: one step, or an error.
        if "--steps" not in words and not any(w.startswith("--steps=") for w in words):
            words += ["--steps", "1"]
    return tuple(words)


@st.composite
def yaml_bytes(draw: st.DrawFn, tree: Any) -> bytes:
    """A tree as YAML, now and then damaged."""
    try:
        content = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode(
            errors="surrogatepass"
        )
    except (yaml.YAMLError, ValueError, RecursionError):
        content = b"fit: " + b"9" * 5000
    return draw(hostile.text_bytes(content)) if draw(st.integers(0, 3)) == 0 else content

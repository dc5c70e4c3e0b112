"""Cut images for, and gather the tables of, benchmarks/family.sh.

python benchmarks/family.py crop SIZE FOLDER OUT    # the centre of every image of a folder
python benchmarks/family.py svd RANK FOLDER         # PSNR of the truncated SVD of each channel
python benchmarks/family.py gather OUT FILE.json    # all compare.json below OUT in one file
python benchmarks/family.py table FILE.json         # that file as Markdown, means over the images
python benchmarks/family.py claims FILE.json        # differences of presets, image by image
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np

KEPT = (
    "psnr_fitted",
    "psnr_heldout",
    "psnr",
    "ssim",
    "parameters_trainable",
    "parameters_stored",
    "model_bytes",
    "seconds",
    "steps",
    "samples_per_second",
    "query_points_per_second",
)


def crop(size: int, folder: Path, out: Path) -> None:
    """Write the centre, size x size pixels, of each PNG of a folder."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob("*.png")):
        pixels = imageio.imread(path)
        top, left = ((length - size) // 2 for length in pixels.shape[:2])
        imageio.imwrite(out / path.name, pixels[top : top + size, left : left + size])


def svd(rank: int, folder: Path) -> None:
    """Print the PSNR that no sum of `rank` products of a row's and a column's function can beat."""
    for path in sorted(folder.glob("*.png")):
        pixels = imageio.imread(path).astype(np.float64) / 255
        lost = sum((np.linalg.svd(c)[1][rank:] ** 2).sum() for c in np.moveaxis(pixels, -1, 0))
        print(path.stem, f"{-10 * np.log10(lost / pixels.size):.2f} dB")


def gather(out: Path, target: Path) -> None:
    """One file: claim -> image -> preset -> seed -> figures."""
    found: dict[str, Any] = {}
    for path in sorted(out.glob("**/compare.json")):
        place = found
        for part in path.parent.relative_to(out).parts:
            place = place.setdefault(part, {})
        for row in json.loads(path.read_text())["rows"]:
            figures = {k: row[k] for k in KEPT if row.get(k) is not None}
            place.setdefault(row["preset"], {})[str(row["seed"])] = {
                k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()
            }
    target.write_text(json.dumps(found, indent=1) + "\n")


def table(file: Path) -> None:
    """Print each claim's presets with their means over images and seeds."""
    for claim, pictures in json.loads(file.read_text()).items():
        # Scenes have presets where images have names.
        if not any(name.startswith("psnr") for runs in _runs(pictures) for name in runs[1]):
            continue
        rows: dict[str, list[dict[str, float]]] = {}
        for preset, figures in _runs(pictures):
            rows.setdefault(preset, []).append(figures)
        print(f"\n### {claim}\n")
        print("| preset | held out | fitted | all | SSIM | trainable | stored | runs |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for preset, found in rows.items():
            cells = [_mean(found, key, 2) for key in ("psnr_heldout", "psnr_fitted", "psnr")]
            cells.append(_mean(found, "ssim", 4))
            cells += [f"{found[0][f'parameters_{k}']:,}" for k in ("trainable", "stored")]
            print(f"| {preset} | {' | '.join(cells)} | {len(found)} |")


PAIRS = {
    "sape": [(f"sape-{sigma}", f"ff-{sigma}", "psnr_heldout") for sigma in (5, 10, 25, 50)],
    "cam": [("cam-16", "ffn", "psnr_fitted")],
    "cam-unseen": [("cam-16", "ffn", "psnr_heldout"), ("cam-16", "ffn", "psnr")],
    "cam-scale": [(f"cam-sigma-{s}", f"ffn-sigma-{s}", "psnr_heldout") for s in (3, 5)],
    "cam-512": [("cam-32", "ffn", "psnr_heldout")],
    "sines": [
        ("siren-3x256", "relu-3x256", "psnr_fitted"),
        ("spder-3x256", "siren-3x256", "psnr_fitted"),
    ],
    "gnf": [("gnf", "gnf-mlp", "psnr_fitted"), ("gnf-32", "gnf-mlp", "psnr_fitted")],
    "gnf-long": [("gnf", "gnf-mlp", "psnr_fitted")],
    "rbf": [("rbf", "hash", "psnr_fitted")],
    "rbf-steps": [("rbf", "hash", "psnr_fitted")],
}
"""Claims as (preset, baseline, figure)."""


def claims(file: Path) -> None:
    """Print how much better each preset is than its baseline, and how far sigma moves SAPE."""
    tree = json.loads(file.read_text())
    print("| claim | difference, dB | mean | images |")
    print("|---|---|---:|---|")
    for claim, pairs in PAIRS.items():
        pictures = tree.get(claim, {})
        for ours, theirs, figure in pairs:
            there = [name for name, runs in pictures.items() if ours in runs and theirs in runs]
            found = [
                _of(pictures[name], ours, figure) - _of(pictures[name], theirs, figure)
                for name in there
            ]
            if found:
                words = ", ".join(f"{value:+.2f}" for value in found)
                mean = sum(found) / len(found)
                title = f"{claim}: {ours} - {theirs}, {figure}"
                print(f"| {title} | {words} | {mean:+.2f} | {' '.join(there)} |")
    pictures = tree.get("sape", {})
    for kind in ("ff", "sape"):
        names = [f"{kind}-{sigma}" for sigma in (5, 10, 25, 50)]
        spreads = [
            max(values) - min(values)
            for runs in pictures.values()
            for values in [[_of(runs, name, "psnr_heldout") for name in names]]
        ]
        means = [
            sum(_of(runs, name, "psnr_heldout") for runs in pictures.values()) / len(pictures)
            for name in names
        ]
        words = ", ".join(f"{value:.2f}" for value in spreads)
        print(f"| sape: spread of {kind} over sigma | {words} | {max(means) - min(means):.2f} | |")


def _of(runs: dict[str, Any], preset: str, figure: str) -> float:
    """A figure of a preset, mean over its seeds."""
    values = [row[figure] for row in runs[preset].values()]
    return float(sum(values) / len(values))


def _runs(tree: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(preset, figures) of every run below a claim."""
    found = []
    for name, branch in tree.items():
        for key, leaf in branch.items():
            if "ssim" in leaf:
                found.append((name, leaf))
            else:
                found += [(key, figures) for figures in leaf.values()]
    return found


def _mean(rows: list[dict[str, float]], key: str, digits: int) -> str:
    values = [row[key] for row in rows if key in row]
    return f"{sum(values) / len(values):.{digits}f}" if values else "-"


def main(arguments: list[str]) -> None:
    """The command line above."""
    match arguments:
        case ["crop", size, folder, out]:
            crop(int(size), Path(folder), Path(out))
        case ["svd", rank, folder]:
            svd(int(rank), Path(folder))
        case ["gather", out, target]:
            gather(Path(out), Path(target))
        case ["table", file]:
            table(Path(file))
        case ["claims", file]:
            claims(Path(file))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

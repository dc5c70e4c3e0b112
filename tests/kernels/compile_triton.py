"""Compile every shipped configuration of the Triton kernels for GPUs that need not be there.

    python -P tests/kernels/compile_triton.py [ARCH ...]

The modules are called as they are called in training, on small CPU tensors; what they would launch
is caught and compiled instead, so the list can't drift from the code. Prints a line a kernel:
name, constants, architecture, registers, bytes of stack. Spilled registers are an error.
"""

import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.pop("TRITON_INTERPRET", None)

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from polyfield import environment
from polyfield.apps.benchmarks import limits_triton
from polyfield.backends import gpu
from polyfield.encodings.domain import domain
from polyfield.encodings.kernels import hash_grid_triton
from polyfield.encodings.kernels.hash_grid import Levels
from polyfield.fields.kernels import bank, bank_triton, mlp, mlp_triton
from polyfield.renderers.kernels import composite_triton, march_triton
from polyfield.renderers.kernels.march import Lattice, clearance
from polyfield.training.kernels import adam_triton
from polyfield.training.kernels.adam import AdamNumbers

environment.prepare("TRITON_DEFAULT_FP_FUSION")

TYPES = {
    torch.float32: "*fp32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.int64: "*i64",
    torch.int32: "*i32",
    torch.uint8: "*u8",
}
Launch = tuple[JITFunction, dict[str, str], dict[str, Any], dict[str, Any]]
caught: dict[str, Launch] = {}


def catch(self: JITFunction, *arguments: Any, grid: Any, warmup: bool, **named: Any) -> None:
    """What JITFunction.run does here: remember the launch."""
    values = dict(zip(self.arg_names, arguments, strict=False)) | {
        name: named.pop(name) for name in self.arg_names if name in named
    }
    signature, constants = {}, {}
    for parameter in self.params:
        value = values[parameter.name]
        if parameter.is_constexpr:
            signature[parameter.name], constants[parameter.name] = "constexpr", value
        elif isinstance(value, torch.Tensor):
            signature[parameter.name] = TYPES[value.dtype]
        else:
            signature[parameter.name] = "i32" if isinstance(value, int) else "fp32"
    words = ",".join(f"{name}={value}" for name, value in constants.items())
    kinds = ",".join(kind for kind in signature.values() if kind.startswith("*"))
    key = f"{self.__name__}[{words}] {kinds} {named}"
    caught.setdefault(key, (self, signature, constants, named))


def launches() -> None:
    """Call every module as presets and benchmarks do."""
    n = 32
    for dim, features, smooth in ((2, 2, False), (3, 2, False), (3, 2, True), (3, 4, False)):
        levels = Levels.make(dim, 16, 16, 1.4, 12)
        x, table = torch.rand(n, dim), torch.rand(levels.entries * features)
        grad = torch.rand(n, 16 * features)
        for precision in ("fp16", "fp32"):
            with gpu.force_precision(precision):
                hash_grid_triton.forward(x, table, levels, features, smooth)
                hash_grid_triton.backward_x(grad, x, table, levels, features, smooth)
        hash_grid_triton.backward_table(grad, x, table, levels, features, smooth)
    for widths, bias, precision in (
        ([32, 64, 16], False, "fp16"),
        ([32, 64, 64, 3], False, "fp16"),
        ([32, 64, 64, 3], False, "bf16"),
        ([32, 64, 64, 3], True, "fp16"),
        ([32, 32, 32, 3], True, "fp16"),
        ([64, 128, 128, 64], True, "fp16"),
        ([64, 64, 64, 64, 64, 64], True, "fp16"),
    ):
        x, w = torch.rand(n, widths[0]), torch.rand(mlp.size(widths, bias))
        with gpu.force_precision(precision):
            mlp_triton.forward(x, w, widths, bias)
            mlp_triton.backward(torch.rand(n, widths[-1]), x, w, widths, bias, True)
    for widths, extra, octaves in (([63, 32, 32, 33], 0, 10), ([59, 32, 3], 33, 4)):
        x, w = torch.rand(n, 3), torch.rand(4, bank.size(widths))
        given = (x, torch.rand(n, extra), w, torch.tensor([0, 8, 8, 20, n]), widths, octaves)
        bank_triton.forward(*given)
        bank_triton.backward(torch.rand(n, widths[-1]), *given, extra == 0, extra > 0)
    limits_triton.gather(torch.rand(4096), torch.rand(256))
    limits_triton.add(torch.rand(4096), 256)
    state = [torch.rand(n) for _ in range(4)]
    for skip in (False, True):
        adam_triton.step(*state, torch.zeros(n, dtype=torch.int32), AdamNumbers(0.1), skip)
    values, density, offsets = torch.rand(n, 4), torch.rand(n), torch.tensor([0, n])
    composite_triton.forward(values, density, density, offsets)
    composite_triton.backward(torch.rand(1, 4), torch.rand(1), values, density, density, offsets)
    bounds = torch.tensor([[0.0, 0, 0], [1, 1, 1]])
    rays = (torch.rand(n, 3), torch.rand(n, 3), torch.rand(n), torch.rand(n), torch.rand(n))
    cells = torch.ones(128, 128, 128, dtype=torch.bool)
    offsets, counts = torch.zeros(n + 1, dtype=torch.int64), torch.zeros(n, dtype=torch.int32)
    for unbounded, cone in ((False, 0.0), (True, 0.004)):
        for found in (None, (torch.rand(n), torch.rand(n))):
            march_triton.launch(
                rays, (cells, clearance(cells)), domain(bounds, unbounded), Lattice(0.01, cone),
                offsets, counts, found,
            )  # fmt: skip


def compile_for(launch: Launch, arch: int) -> tuple[int, int]:
    """Registers and bytes of stack."""
    function, signature, constants, options = launch
    attributes = {
        (index,): [["tt.divisibility", 16]]
        for index, kind in enumerate(signature.values())
        if kind.startswith("*")
    }
    source = ASTSource(function, signature, constexprs=constants, attrs=attributes)
    target = GPUTarget("cuda", arch, 32)
    built = triton.compile(source, target=target, options=options)
    dump = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(built.asm["cubin"])
        file.flush()
        text = subprocess.run(
            [str(dump), "--dump-resource-usage", file.name], capture_output=True, text=True
        ).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", text)
    assert found, text
    return int(found[1]), int(found[2])


def try_for(key: str, arch: int) -> tuple[bool, str]:
    """Whether a launch compiles without spilling, and a line about it."""
    try:
        registers, stack = compile_for(caught[key], arch)
    except Exception as error:
        return False, f"sm_{arch}  fails: {str(error)[:1000]}  {key}"
    return stack == 0, f"sm_{arch} {registers:4d} registers {stack:5d} bytes of stack  {key}"


def main(archs: list[int]) -> int:
    """Compile everything; how many configurations spill or fail."""
    JITFunction.run = catch
    launches()
    bad, jobs = 0, [(key, arch) for key in caught for arch in archs]
    # Children are forked, so they know what was caught.
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for good, line in pool.starmap(try_for, jobs, chunksize=1):
            bad += not good
            print(line, flush=True)
    print(f"{len(jobs)} kernels, {bad} bad")
    return bad


if __name__ == "__main__":
    sys.exit(min(1, main([int(word) for word in sys.argv[1:]] or [80, 89, 90])))

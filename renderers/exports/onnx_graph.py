"""A model as an ONNX graph of plain operations, from points to what the model says of them.

Reference ops are exported, none of our kernels: any runtime of opset 18 (bitwise operations, for
hashing) runs it. Source: ONNX operators, onnx.ai/onnx/operators.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from polyfield import extras
from polyfield.backends import dispatch
from polyfield.errors import InputError
from polyfield.files import write_whole
from polyfield.quiet import quiet_log, quiet_stderr
from polyfield.renderers.exports.source import Source, Tell
from polyfield.renderers.exports.writing import writing
from polyfield.renderers.graph import Graph

OPSET = 18
LARGEST = (1 << 31) - (1 << 24)
"""Bytes of a file: the format's container ends at 2 GiB."""
TRACED, CHECKED = 7, 4096
"""Points the graph is traced with, and points it is compared at."""
FAR = 1e-2
"""Errors beyond it are no rounding: nothing is written."""
BENIGN = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    r"# The axis name: n will not be used, since it shares the same shape constraints",
)
"""What torch's own exporter warns of: about itself, and that all inputs have the same rows."""


@dataclass(frozen=True)
class Onnx:
    """The field at points, for programs that run ONNX: no images, no rays."""

    name: ClassVar[str] = "onnx"
    endings: ClassVar[tuple[str, ...]] = (".onnx",)

    def write(self, source: Source, path: Path, tell: Tell) -> str:
        """Trace, check, compare, write."""
        graph = source.graphed(self.name).graph()
        onnx = extras.load("onnx", "onnx", "--to onnx", "onnx")
        extras.load("onnxscript", "onnxscript", "--to onnx", "onnx")
        stored = sum(t.numel() * t.element_size() for t in graph.module.state_dict().values())
        if stored > LARGEST:
            raise InputError(
                "a model of less than 2 GiB for --to onnx",
                f"one of {stored / 2**30:.1f} GiB",
                "distil it into a smaller one",
            )
        module = copy.deepcopy(graph.module).cpu().eval().requires_grad_(False)
        tell(f"onnx: tracing {stored / 2**20:.1f} MB of values")
        with dispatch.force("reference"):
            model = _traced(module, graph)
            _finish(model, graph)
            content = model.SerializeToString()
            onnx.checker.check_model(content, full_check=True)
            compared = _compared(content, module, graph)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, lambda temporary: temporary.write_bytes(content))
        ports = f"{', '.join(graph.inputs)} -> {', '.join(graph.outputs)}"
        return f"{ports}, {len(content) / 2**20:.1f} MB, opset {OPSET}, {compared}"


def _traced(module: nn.Module, graph: Graph) -> Any:
    """The module as an ONNX model of any number of points.

    Raises:
        InputError: it does what ONNX has no operation for.
    """
    inputs = graph.example(TRACED, torch.Generator().manual_seed(0))
    rows = torch.export.Dim("n", min=1)
    try:
        with _calm(), torch.no_grad():
            program = torch.onnx.export(
                module,
                inputs,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=tuple({0: rows} for _ in inputs),
                custom_translation_table=_translations(),
                # Runtimes do it themselves; onnxscript's fusing of clips loses constants (0.7).
                optimize=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise _unable(graph, " ".join(str(cause).split())[:80]) from None
    assert program is not None
    model = program.model_proto
    if not all(port.type.tensor_type.shape.dim[0].dim_param for port in model.graph.input):
        raise _unable(graph, "its operations depend on the number of points")
    return model


def _unable(graph: Graph, why: str) -> InputError:
    return InputError(
        "a field that ONNX has operations for, for --to onnx",
        f"{next(iter(graph.about['field']))} ({why})",
        "distil it into another, for instance `hash`",
    )


def _translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Operations of torch that its exporter doesn't know, by ones it does."""
    op = extras.load("onnxscript", "onnxscript", "--to onnx", "onnx").opset18

    def hypot(x: Any, y: Any) -> Any:
        return op.Sqrt(op.Add(op.Mul(x, x), op.Mul(y, y)))

    return {torch.ops.aten.hypot.default: hypot}


@contextlib.contextmanager
def _calm() -> Iterator[None]:
    """Without what torch's exporter warns of about itself, and reports at length when it can't."""
    # Where `sys.stderr` is not the process's own, as in notebooks, it is to be quiet too.
    quiet = contextlib.redirect_stderr(io.StringIO())
    with warnings.catch_warnings(), quiet_log("torch.onnx", logging.ERROR), quiet_stderr(), quiet:
        for message in BENIGN:
            warnings.filterwarnings("ignore", message=message)
        yield


def _finish(model: Any, graph: Graph) -> None:
    """Say what the numbers mean; leave out where the code that was traced lies."""
    for part in (model.graph, *model.functions):
        for node in part.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
    model.producer_name = "polyfield"
    for key, value in graph.about.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value if type(value) is str else json.dumps(value)


def _compared(content: bytes, module: nn.Module, graph: Graph) -> str:
    """How far ONNX Runtime's numbers are from torch's; errors of large ones relative to them.

    Raises:
        InputError: further than by rounding.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return "not compared: onnxruntime is not installed"
    runtime = extras.load("onnxruntime", "onnxruntime", "--to onnx", "onnx")
    inputs = graph.example(CHECKED, torch.Generator().manual_seed(1))
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors: what it can't fold beforehand it warns of
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    given = {name: value.numpy() for name, value in zip(graph.inputs, inputs, strict=True)}
    found = session.run(list(graph.outputs), given)
    with torch.no_grad():
        wanted: tuple[Tensor, ...] = module(*inputs)
    worst = max(_error(f, w.numpy()) for f, w in zip(found, wanted, strict=True))
    if not worst <= FAR:
        raise InputError(
            f"ONNX Runtime to agree with PyTorch within {FAR:g}",
            f"an error of {worst:.2g}",
            "report it; nothing is written",
        )
    return f"ONNX Runtime within {worst:.1e} of PyTorch"


def _error(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest |found - wanted| / max(1, |wanted|)."""
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    return float((np.abs(a - b) / np.maximum(1, np.abs(b))).max(initial=0.0))

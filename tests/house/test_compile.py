"""torch.compile takes every encoding and every network as it is.

In a process of its own: the checks of shapes that other tests run under are no code to compile.
"""

import subprocess
import sys

PROGRAM = """
import typing, torch
from polyfield.encodings import EncodingConfig
from polyfield.errors import InputError, MissingBackend
from polyfield.fields.networks import NetworkConfig

def members(union):
    return typing.get_args(union) or (union,)

def check(name, module, x):
    torch._dynamo.reset()
    try:
        found = torch.compile(module, backend="aot_eager")(x)
        torch.testing.assert_close(found, module(x), rtol=1e-4, atol=1e-5)
    except Exception as error:
        print(name, type(error).__name__, str(error)[:300])

for kind in members(EncodingConfig):
    for dim in (2, 3):
        try:
            encoding = kind().build(dim)
        except InputError:
            continue
        if encoding.takes_points:
            encoding.init_from_points(torch.rand(2000, dim), torch.ones(2000))
        encoding.set_progress(1.0)
        x = (torch.nn.functional.normalize(torch.randn(9, dim), dim=-1) * 0.98 + 1) / 2
        check(f"{kind.__name__}-{dim}", encoding, x)
for kind in members(NetworkConfig):
    try:
        network = kind().build(3, 2)
    except MissingBackend:
        continue
    check(kind.__name__, network, torch.rand(7, 3))
"""


def test_every_encoding_and_network_compiles() -> None:
    command = [sys.executable, "-P", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == ""

"""Files of `torch.save`, read without torch's unpickler: a zip of a pickle and records of numbers.

`NAME/data.pkl` is read by plain_pickle.py; the numbers of the tensor with key K are the record
`NAME/data/K`, never compressed, little-endian, and are read only when they are asked for. Older
files (before PyTorch 1.6) are one stream of pickles; they are refused.
"""

from __future__ import annotations

import contextlib
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyfield.errors import InputError, shown
from polyfield.files import open_file
from polyfield.renderers.imports.plain_pickle import DTYPES, LARGE, MOST, Stored, read_pickle

START = b"PK\x03\x04"
"""How a zip begins."""
LARGEST = 1 << 32
"""Bytes of a tensor."""
RECORDS = 1 << 16
"""Most records of a file."""
_SAVE = "copy it again, or save it again with torch.save"


class TorchFile:
    """A file of `torch.save`; use it in a `with`.

    Args:
        path: the file.

    Raises:
        InputError: no such file, damaged, or it holds what is no plain data.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_file(path, "a checkpoint")
        try:
            with self._damage():
                self._zip = zipfile.ZipFile(self._file)
                names = self._zip.namelist()
            if len(names) > RECORDS:
                raise self._wrong(f"{len(names)} records")
            tops = [n for n in names if n.endswith("/data.pkl") and n.count("/") == 1]
            if len(tops) != 1:
                raise self._wrong("a zip without its data.pkl")
            self._top = tops[0].removesuffix("data.pkl")
            order = f"{self._top}byteorder"
            if order in names and self._record(order, 16) != b"little":
                raise self._wrong("numbers of a big-endian machine")
            self.tree: Any = read_pickle(self._record(tops[0], MOST), shown(path))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> TorchFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self, stored: Stored) -> Tensor:
        """A tensor of its own shape and kind of number, on the CPU.

        Raises:
            InputError: its record is missing, damaged or of another size, or its kind is not read.
        """
        storage = stored.storage
        if storage.kind not in DTYPES:
            raise self._wrong(f"numbers of kind {storage.kind[:40]}")
        dtype = np.dtype(DTYPES[storage.kind])
        count = math.prod(stored.shape)
        reach = sum(
            (n - 1) * step for n, step in zip(stored.shape, stored.strides, strict=True) if n
        )
        within = stored.offset + reach < storage.count or not count
        if not 0 <= storage.count < LARGE:
            raise self._wrong("numbers of an impossible count")
        if not within or count > storage.count or not storage.key.isalnum():
            raise self._wrong("a tensor larger than its numbers")
        size = storage.count * dtype.itemsize
        content = self._record(f"{self._top}data/{storage.key}", min(size, LARGEST))
        if len(content) != size:
            raise self._wrong(f"{len(content)} bytes for {size} of a tensor")
        with self._damage():
            values = torch.from_numpy(np.frombuffer(content, dtype).copy())
            if not count:
                return values.new_zeros(stored.shape)
            return torch.as_strided(values, stored.shape, stored.strides, stored.offset).clone()

    def _record(self, name: str, most: int) -> bytes:
        """A record, its sum checked."""
        with self._damage():
            info = self._zip.getinfo(name)
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                raise self._wrong("a compressed or encrypted record")
            if info.file_size != info.compress_size or info.file_size > most:
                raise self._wrong(f"a record of {info.file_size} bytes where {most} are the most")
            return self._zip.read(info)

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        """What the zip's reader and torch raise, as a line."""
        try:
            yield
        except InputError:
            raise
        except KeyError:
            raise self._wrong("a record that is missing") from None
        except (
            zipfile.BadZipFile, OSError, ValueError, EOFError, RuntimeError, OverflowError,
            IndexError, struct.error, zlib.error, NotImplementedError, MemoryError, TypeError,
        ) as error:  # fmt: skip
            why = " ".join(str(error).split())[:80] or type(error).__name__
            raise self._wrong(why) from None

    def _wrong(self, got: str) -> InputError:
        return InputError(f"a whole file of torch.save at {shown(self._path)}", got, _SAVE)

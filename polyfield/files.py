"""The one way files are opened and written: regular files only, text of bounded size, whole or not.

Everything a user names is opened by `open_file` or by what stands on it: names the system refuses,
FIFOs, devices and folders are one `InputError` that shows the path.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from polyfield.errors import InputError, WriteError, shown
from polyfield.json_text import parse_json
from polyfield.yaml_text import parse_yaml

AnyPath = str | os.PathLike[str]

TEMPORARY = ".part-"
"""How the names of files that are not whole yet begin."""
JSON_BYTES = 1 << 26
"""Longest JSON that is read: some 60 000 frames of a capture."""
YAML_BYTES = 1 << 20
"""Longest YAML that is read."""
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_file(path: AnyPath, what: str = "a file") -> BinaryIO:
    """Open a regular file to read its bytes.

    Args:
        path: as the user gave it.
        what: what it should be, for the message, with its article.

    Raises:
        InputError: nothing there, no regular file, not allowed, or a name the system refuses.
    """
    try:
        # Before it is opened: that alone makes a FIFO wait and a device act.
        _check_regular(os.stat(path), path, what)
        file = open(path, "rb", opener=_without_waiting)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise _refused(path, what, error) from None
    try:
        # And after: another file may have come in its place.
        _check_regular(os.fstat(file.fileno()), path, what)
    except InputError:
        file.close()
        raise
    return file


def check_file(path: AnyPath, what: str = "a file") -> None:
    """Raise unless `open_file` opens it; for readers of other libraries that take a path.

    Raises:
        InputError: as `open_file`.
    """
    open_file(path, what).close()


def read_start(path: AnyPath, count: int, what: str = "a file") -> bytes:
    """The first bytes of a regular file, fewer where it is shorter.

    Raises:
        InputError: as `open_file`.
    """
    try:
        with open_file(path, what) as file:
            return file.read(count)
    except OSError as error:  # a disk or a network that fails
        raise _refused(path, what, error) from None


def read_bytes(path: AnyPath, what: str = "a file", most: int | None = None) -> bytes:
    """All bytes of a regular file.

    Args:
        path: as the user gave it.
        what: what it should be, for the message, with its article.
        most: longest that is read, in bytes; None for any length.

    Raises:
        InputError: as `open_file`, or longer than `most`.
    """
    try:
        with open_file(path, what) as file:
            content = file.read() if most is None else file.read(most + 1)
    except OSError as error:  # a disk or a network that fails
        raise _refused(path, what, error) from None
    if most is not None and len(content) > most:
        raise InputError(
            f"{what} of at most {most >> 20} MiB at {shown(path)}", "a longer one", "check the path"
        )
    return content


def read_text(path: AnyPath, what: str, most: int) -> str:
    """A text file in UTF-8, or in UTF-16 or UTF-32 with its byte order mark.

    Raises:
        InputError: as `read_bytes`, or bytes that are no such text; the message names the line.
    """
    content = read_bytes(path, what, most)
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        got = f"bytes in line {line} that are no {error.encoding.upper()}"
        raise InputError(f"{what} at {shown(path)}", got, "save it as UTF-8") from None


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_yaml(path: Path) -> Any:
    """What a YAML file says.

    Raises:
        InputError: no such file, longer than `YAML_BYTES`, or what `parse_yaml` refuses.
    """
    return parse_yaml(read_text(path, "a YAML file", YAML_BYTES), str(path))


def read_json(path: Path) -> Any:
    """What a JSON file says.

    Raises:
        InputError: no such file, longer than `JSON_BYTES`, or what `parse_json` refuses.
    """
    return parse_json(read_text(path, "a JSON file", JSON_BYTES), str(path))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        WriteError: the system doesn't let it.
    """
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, tree: Any) -> None:
    """Write a JSON file whole or not at all. Numbers that are not finite become null.

    Raises:
        WriteError: the system doesn't let it.
    """
    write_text(path, as_json(tree) + "\n")


def write_yaml(path: Path, tree: Any) -> None:
    """Write a YAML file whole or not at all, keys in their order.

    Raises:
        WriteError: the system doesn't let it.
    """
    write_text(path, yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=100))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk and rename it.

    The temporary name ends like `path`, so that image and video writers see their type.

    Raises:
        WriteError: the system doesn't let it; neither file nor temporary is left.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix)
    except (OSError, ValueError) as error:
        raise WriteError(path, _as_os_error(error)) from None
    os.close(handle)
    temporary = Path(name)
    try:
        _write(temporary, path, write)
        try:
            os.chmod(temporary, 0o666 & ~_umask())
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except (OSError, ValueError) as error:
            raise WriteError(path, _as_os_error(error)) from None
    finally:
        with contextlib.suppress(OSError):  # the folder itself may be gone
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def plain_name(path: AnyPath) -> Iterator[str]:
    """A name of a file that is there, for libraries that take UTF-8 alone.

    Of a name that is no UTF-8 it is that of the open file, where the system has such (Linux).
    """
    name = os.fspath(path)
    if _is_utf8(name):
        yield name
        return
    file = os.open(name, os.O_RDWR if os.access(name, os.W_OK) else os.O_RDONLY)
    try:
        opened = f"/proc/self/fd/{file}"
        yield opened if os.path.exists(opened) else name
    finally:
        os.close(file)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _write(temporary: Path, path: Path, write: Callable[[Path], object]) -> None:
    """Call `write`; what it raises because of the disk becomes a `WriteError`."""
    try:
        write(temporary)
    except (InputError, WriteError, BrokenPipeError):  # a pipe is none of this file's
        raise
    except OSError as error:
        raise WriteError(path, error) from error
    except Exception as error:
        # Encoders have their own words for a full disk, so the disk is asked.
        fault = _fault(temporary)
        if fault is None:
            raise
        raise WriteError(path, fault) from error


def _fault(temporary: Path) -> OSError | None:
    """Why the file can't grow any further; None where it can."""
    try:
        with open(temporary, "ab") as file:
            file.write(bytes(1 << 20))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def _check_regular(status: os.stat_result, path: AnyPath, what: str) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kind = next((name for test, name in _KINDS if test(status.st_mode)), "no regular file")
    raise InputError(f"{what} at {shown(path)}", kind, "check the path")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK if os.name == "posix" else flags)


def _refused(path: AnyPath, what: str, error: OSError | ValueError) -> InputError:
    hint = "check the path"
    if isinstance(error, PermissionError):
        hint = "check who may read it"
    return InputError(f"{what} at {shown(path)}", one_line(_as_os_error(error)).lower(), hint)


def _as_os_error(error: OSError | ValueError) -> OSError:
    """Python refuses NUL and lone surrogates by a ValueError before the system sees them."""
    if isinstance(error, OSError):
        return error
    return OSError(errno.EINVAL, "a name that no file can have")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def as_json(tree: Any) -> str:
    """A tree as JSON, indented. Numbers that are not finite become null."""
    return json.dumps(_finite(tree), indent=2, allow_nan=False)


def _finite(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _finite(v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_finite(v) for v in tree]
    return tree if not isinstance(tree, float) or abs(tree) < float("inf") else None


def one_line(error: BaseException) -> str:
    """What an exception says, without line breaks."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())

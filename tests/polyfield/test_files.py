"""Files as users name them and disks as they are: one line, nothing hangs, nothing half is left."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from polyfield import files
from polyfield.errors import LONGEST, InputError, WriteError, shown, terse, visible
from polyfield.json_text import DEEPEST, DIGITS
from polyfield.yaml_text import NODES


def refused(call, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert len(text) <= LONGEST and text.isprintable(), text
    return text


# What is opened.


@pytest.mark.parametrize("read", [files.read_json, files.read_yaml, files.read_bytes])
@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("fifo", "FIFO"),
        ("folder", "directory"),
        ("socket", "socket"),
        ("/dev/zero", "device"),
        ("/", "directory"),
        ("none", "no such file"),
        ("a" * 300, "too long"),
        ("a\0b", "no file can have"),
        ("a\ud800b", "no file can have"),
        ("a\udcffb", "no such file"),
        ("loop", "symbolic"),
        ("file/below", "not a directory"),
    ],
)
def test_only_regular_files_are_opened(tmp_path, monkeypatch, read, name, word):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    Path("folder").mkdir()
    Path("file").touch()
    Path("loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
        assert word in refused(read, Path(name))


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_someone_else(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.json").chmod(0)
    assert "who may read" in refused(files.read_json, tmp_path / "a.json")


def test_text_has_a_longest_length(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_bytes(b"a: " + b"x" * files.YAML_BYTES)
    assert "at most 1 MiB" in refused(files.read_yaml, file)


def test_a_name_with_escape_sequences_is_shown_escaped(tmp_path):
    text = refused(files.read_json, tmp_path / "a\x1b[31m\r\n\u202eb\udcff.json")
    assert r"a\x1b[31m\r\n\u202eb\xff.json" in text


@pytest.mark.parametrize("name", ["plain", "tr\xe8s", "odd"])
def test_a_file_of_any_name_is_opened_by_one_in_utf8(odd_folder, name):
    file = odd_folder / (odd_folder.name if name == "odd" else name)
    file.write_text("before")
    with files.plain_name(file) as plain:
        plain.encode()
        assert Path(plain).read_text() == "before"
        Path(plain).write_text("after")
    assert file.read_text() == "after"
    assert os.listdir(odd_folder) == [file.name]


# Messages.


def test_messages_are_one_line_and_keep_the_mend():
    error = InputError("x" * 500, "y\n" * 5000, "mend it\x07")
    assert len(str(error)) == LONGEST and str(error).endswith(r"; mend it\x07")
    assert str(InputError("a", "b", "c")) == "expected a; got b; c"
    assert visible("é 日本 a-b\\c") == "é 日本 a-b\\c"
    assert terse("a\n  b\x1b" + "c" * 999).startswith(r"a b\x1bc")
    long = shown("/top/" + "x" * 500 + "/name.png")
    assert long.startswith("/top/") and long.endswith("/name.png") and len(long) <= 140


# JSON.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_json_in_every_encoding_with_a_mark(tmp_path, encoding):
    text = json.dumps({"name": "Zoë"}, ensure_ascii=False)
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    (tmp_path / "a.json").write_text(mark + text, encoding=encoding)
    assert files.read_json(tmp_path / "a.json") == {"name": "Zoë"}


def read_json(tmp_path: Path, text: str):
    (tmp_path / "a.json").write_text(text)
    return files.read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    "text",
    [
        '{ // by hand\n"a": [1, 2],}',
        '{"a": [1, 2, ] /* , */ , }',
        '/* "a" */ {"a": [1, // one, }\n 2\n,\n] }// end',
        '{"a": [1, 2],\n// "b": "//"\n}',
    ],
)
def test_json_with_comments_and_trailing_commas(tmp_path, text):
    assert read_json(tmp_path, text) == {"a": [1, 2]}


def test_json_strings_keep_what_looks_like_a_comment(tmp_path):
    text = r'{"url": "http://a/*b*/,]", "quote": "\"//\\", "end": ",}",}'
    assert read_json(tmp_path, text) == {"url": "http://a/*b*/,]", "quote": '"//\\', "end": ",}"}


def test_json_reads_literals_that_are_not_finite(tmp_path):
    found = read_json(tmp_path, '{"sharpness": NaN, "far": Infinity}')
    assert found["sharpness"] != found["sharpness"] and found["far"] == float("inf")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{\n"a": 1,\n"b" 2}', "line 3"),
        ('{ // one\n"a": 1,\n"b" 2,}', "line 3"),
        ("[1,\n,]", "line 2"),
        ("[,]", "line 1"),
        ('{"a":,}', "line 1"),
        ("[1,,]", "line 1"),
        ("{'a': 1}", "line 1"),
        ('{"a": "no end', "line 1"),
        ("{} {}", "line 1"),
        ("/* no end", "line 1"),
        (" \n", "empty"),
        ("[" * 100_000, "nested deeper"),
        ("[" * 100_000 + "]" * 100_000, "nested deeper"),
        ("[" * (DEEPEST + 2) + "]" * (DEEPEST + 2), "nested deeper"),
        ('{"a":' * 200 + "1" + "}" * 200, "nested deeper"),
        ("[1,\n" + "9" * 5000 + "]", "line 2: one of 5000"),
        ("[1,\n-" + "9" * (DIGITS + 1) + ",]", "line 2"),
        ('{"a": 1,\n"b": {"a": 2},\n"a": 3}', 'line 3: "a" twice'),
    ],
)
def test_json_that_is_refused(tmp_path, text, word):
    message = refused(read_json, tmp_path, text)
    assert word in message and "a.json" in message


def test_json_of_the_greatest_depth_is_read(tmp_path):
    found = read_json(tmp_path, "[" * DEEPEST + "]" * DEEPEST)
    assert isinstance(found, list)


def test_equal_keys_twice_mean_the_same(tmp_path):
    assert read_json(tmp_path, '{"w": 8, "w": 8}') == {"w": 8}


def test_json_in_no_encoding_names_its_line(tmp_path):
    (tmp_path / "a.json").write_bytes('{"a":\n"Zoë"}'.encode("latin-1"))
    assert "line 2" in refused(files.read_json, tmp_path / "a.json")


# YAML.


def read_yaml(tmp_path: Path, text: str):
    (tmp_path / "a.yaml").write_text(text)
    return files.read_yaml(tmp_path / "a.yaml")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (BOMB, "line 5: more than"),
        ("a: &a [1, *a]", "line 1: a value that holds itself"),
        ("&a a: &b\n  c: {d: *b}", "line 2: a value that holds itself"),
        ("[" * 5000, "levels"),
        ("\n".join(" " * i + "a:" for i in range(150)), "line 1"),
        ("[" + "x, " * (NODES + 1) + "x]", "more than"),
        ("a: 1\nb: " + "9" * 5000, "line 2: a number of 5000 digits"),
        ("1: x", "line 1: '1' for a key"),
        ("a: 1\ntrue: x", "line 2"),
        ("null: x", "line 1"),
        ("[a, b]: x", "line 1: a list or keys"),
        ("a: 1\nb: 2\na: 3", "line 3: 'a' twice"),
        ("a: !!int word", "tag"),
        ("a: !!timestamp 2020-13-45", "line 1: the tag"),
        ("a: !!python/name:os.system", "line 1: the tag"),
        ("a: *b", "line 1"),
        ("a: 1\n---\nb: 2", "line 2"),
        ("a: \x07", "not allowed"),
    ],
)
def test_yaml_that_is_refused(tmp_path, text, word):
    message = refused(read_yaml, tmp_path, text)
    assert word in message and "a.yaml" in message


def test_yaml_values_are_what_they_look_like(tmp_path):
    text = "{a: 1:30, b: 010, c: 2020-13-45, d: 1e-3, e: 1.5e-3, f: 0x10, g: yes, h: 1_000, i: ~}"
    assert read_yaml(tmp_path, text) == {
        **{"a": "1:30", "b": "010", "c": "2020-13-45", "d": "1e-3"},
        **{"e": 1.5e-3, "f": 16, "g": True, "h": 1000, "i": None},
    }


def test_yaml_aliases_and_merges_of_good_size_work(tmp_path):
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a"
    assert read_yaml(tmp_path, text)["b"] == {"x": 1, "y": 3}


def test_yaml_is_read_back_as_it_was_written(tmp_path):
    tree = {"a": "1:30", "b": "010", "c": ["2020-01-01", "1e-3", "yes", "", "="], "d": 1e-05}
    tree |= {"n": None, "t": True, "i": -3, "f": 1e30, "inf": float("inf"), "deep": {"er": [[]]}}
    files.write_yaml(tmp_path / "a.yaml", tree)
    assert files.read_yaml(tmp_path / "a.yaml") == tree


# Writing.


def test_a_folder_that_is_gone_or_a_name_too_long_is_a_write_error(tmp_path):
    (tmp_path / "taken").mkdir()
    for name in ("gone/a.json", "taken", "x" * 300, "a\0b"):
        with pytest.raises(WriteError, match=re.escape("expected to write")) as caught:
            files.write_json(tmp_path / name, {})
        assert str(caught.value).isprintable() and caught.value.strerror
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_writer_with_its_own_words_for_a_full_disk(tmp_path, monkeypatch):
    def encode(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise RuntimeError("cannot write scan line")

    monkeypatch.setattr(files, "_fault", lambda path: OSError(28, "No space left on device"))
    with pytest.raises(WriteError, match="no space left on device; make room"):
        files.write_whole(tmp_path / "a.exr", encode)
    assert not list(tmp_path.iterdir())


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from polyfield.errors import WriteError
from polyfield.files import write_text
from polyfield.scenes.images import write_image
from polyfield.tensors import save_tensors
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
folder = Path(sys.argv[1])
noise = np.random.default_rng(0).random((500, 500, 3), np.float32)
writers = [
    lambda: write_text(folder / "a.txt", "x" * 200_000),
    lambda: save_tensors(folder / "a.safetensors", {"x": torch.ones(100_000)}, {}),
    lambda: write_image(folder / "a.png", (noise * 255).astype(np.uint8)),
    lambda: write_image(folder / "a.jpg", (noise * 255).astype(np.uint8)),
    lambda: write_image(folder / "a.exr", noise),
]
for write in writers:
    try:
        write()
    except WriteError as error:
        print(error)
"""


def test_no_writer_leaves_a_part_where_the_disk_takes_no_more(tmp_path):
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 5 and done.stderr == "", done.stderr
    assert all("file too large; raise the limit" in line for line in lines)
    assert not list(tmp_path.iterdir())


def test_a_full_disk(tmp_path):
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tiny)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no right to mount a tiny disk")
    try:
        files.write_text(tiny / "old", "x" * 20_000)
        with pytest.raises(WriteError, match="no space left on device; make room"):
            files.write_text(tiny / "old", "y" * 100_000)
        assert [path.name for path in tiny.iterdir()] == ["old"]
        assert (tiny / "old").read_text() == "x" * 20_000
        subprocess.run(["mount", "-o", "remount,ro", str(tiny)], check=True)
        with pytest.raises(WriteError, match="read-only"):
            files.write_text(tiny / "new", "y")
    finally:
        subprocess.run(["umount", str(tiny)], check=True)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that can't be read")
def test_a_disk_that_fails_while_it_is_read(tmp_path):
    path = Path("/proc/self/mem")
    for read in (lambda: files.read_start(path, 4), lambda: files.read_bytes(path)):
        with pytest.raises(InputError, match="expected a file at .*; got input/output error"):
            read()

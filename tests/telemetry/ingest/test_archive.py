"""Zip archives: bombs end in a Problem, what is cut off gives what is whole, zstd is read."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib

import pyarrow as pa
import pytest

from tele.telemetry.ingest import Place, Problem, archive, inspect_zip, opening
from tele.telemetry.ingest.archive import Archive
from tele.telemetry.ingest.sources import Source

EVAL = {"version": 2, "eval": {"task": "t", "model": "m", "eval_id": "e"}}


def zipped(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def read(archive_, name):
    with archive_.open(name) as stream:
        return stream.read()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_whole_and_in_pieces(tmp_path, method):
    text = json.dumps(list(range(100_000))).encode()
    found = Archive(zipped(tmp_path / "a", {"a.json": text, "b.json": b""}, method))

    assert (read(found, "a.json"), read(found, "b.json")) == (text, b"")
    with found.open("a.json") as stream:
        assert b"".join(iter(lambda: stream.read(1000), b"")) == text


def with_zstd(path, name, data):
    """Python 3.11 writes no zstd: an archive of one member by hand, after APPNOTE 4.3 (method 93)."""
    packed = pa.Codec("zstd").compress(data, asbytes=True)
    crc = zlib.crc32(data)
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 63, 0, 93, 0, 33, crc, len(packed), len(data), len(name), 0)
    entry = struct.pack(
        "<4s6H3I5H2I", b"PK\x01\x02", 63, 63, 0, 93, 0, 33, crc, len(packed), len(data), len(name), 0, 0, 0, 0, 0, 0
    )
    body = local + name.encode() + packed
    directory = entry + name.encode()
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), len(body), 0)
    path.write_bytes(body + directory + end)
    return path


def test_a_zstd_member_is_read(tmp_path):
    text = json.dumps(EVAL).encode() * 50

    assert read(Archive(with_zstd(tmp_path / "a", "header.json", text)), "header.json") == text


def test_a_log_with_zstd_members_is_read(tmp_path):
    path = with_zstd(tmp_path / "a.eval", "header.json", json.dumps(EVAL).encode())

    (row,) = inspect_zip.read(path, Place("f"))

    assert row["run_id"] == "e"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, "zstd"])
def test_a_bomb_ends_in_a_problem_and_the_others_are_read(tmp_path, monkeypatch, method):
    monkeypatch.setattr(opening, "LEAST_ALLOWED", 4 << 20)
    bomb = b'{"id": 1, "events": [' + b'{"event": "info"},' * (1 << 20) + b"{}]}"
    path = tmp_path / "bomb.eval"
    if method == "zstd":
        with_zstd(path, "samples/a.json", bomb)
    else:
        zipped(path, {"header.json": json.dumps(EVAL), "samples/a.json": bomb})

    found = list(Source().items(path))

    problems = [item for item in found if isinstance(item, Problem)]
    assert len(bomb) > 16 << 20
    if method == "zstd":
        assert problems[0].message.startswith("is a zip archive, but no log")
    else:
        assert "it unpacks to more than" in problems[-1].message


def test_a_gzip_bomb_ends_in_a_problem(tmp_path, monkeypatch):
    import gzip

    monkeypatch.setattr(opening, "LEAST_ALLOWED", 1 << 20)
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b"[" + b"0," * (4 << 20) + b"0]"))

    problems = [item for item in Source().items(path) if isinstance(item, Problem)]

    assert any("it unpacks to more than" in problem.message for problem in problems)


def test_a_member_whose_size_lies_or_that_is_damaged_is_a_problem_and_no_more(tmp_path):
    sample = json.dumps({"id": "ok", "epoch": 1, "events": []})
    path = zipped(
        tmp_path / "a.eval", {"header.json": json.dumps(EVAL), "samples/a.json": sample, "samples/b.json": sample}
    )
    data = bytearray(path.read_bytes())
    at = data.index(b"samples/a.json") + len("samples/a.json")
    data[at : at + 10] = b"\xff" * 10
    path.write_bytes(data)

    found = list(inspect_zip.read(path, Place("f")))

    assert [item.position.split(".")[0] for item in found if isinstance(item, Problem)] == ["samples/a"]
    assert [row["item_id"] for row in found if not isinstance(row, Problem) and row["kind"] == "span"] == ["ok"]


def test_an_encrypted_member_says_so(tmp_path):
    path = zipped(tmp_path / "a.eval", {"header.json": json.dumps(EVAL), "samples/a.json": "{}"})
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\x03\x04", 4)
    data[second + 6] |= 1
    path.write_bytes(data)

    (_, problem) = inspect_zip.read(path, Place("f"))

    assert problem.message == "cannot be read: it is encrypted"


@pytest.mark.parametrize("cut", [3, 10, 40, 200])
def test_an_archive_that_is_cut_anywhere_never_raises(tmp_path, cut):
    path = zipped(tmp_path / "a.eval", {"header.json": json.dumps(EVAL), "samples/a.json": '{"id": 1}'})
    path.write_bytes(path.read_bytes()[:-cut])

    assert any(isinstance(item, Problem) for item in Source().items(path))


def test_members_written_to_a_stream_are_found_without_their_list(tmp_path):
    """Then sizes follow the data, and only unpacking tells where a member ends."""

    class Stream(io.RawIOBase):
        def __init__(self):
            self.data = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.data += data
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("header.json", json.dumps(EVAL))
        out.writestr("samples/a.json", json.dumps({"id": "a", "events": []}))
    path = tmp_path / "a.eval"
    path.write_bytes(stream.data[: stream.data.index(b"PK\x01\x02")])

    found = Archive(path)

    assert (found.cut, list(found.members)) == (True, ["header.json", "samples/a.json"])
    assert json.loads(read(found, "samples/a.json"))["id"] == "a"


def test_the_bound_of_an_archive_counts_all_its_members(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "allowed", lambda _: 3000)
    found = Archive(zipped(tmp_path / "a", dict.fromkeys("abcd", b"x" * 1000)))

    assert [len(read(found, name)) for name in "abc"] == [1000] * 3
    with pytest.raises(OSError, match="unpacks to more than"):
        read(found, "d")

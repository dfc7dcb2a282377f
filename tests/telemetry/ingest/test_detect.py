"""What a file holds is told by its bytes."""

from __future__ import annotations

import gzip

import pytest

from tele.errors import BadInput
from tele.telemetry.ingest.detect import HEAD_BYTES, Content, content, readers_named


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", Content("empty", packed=False)),
        (b" \n\t", Content("empty", packed=False)),
        (b'\xef\xbb\xbf {"a": 1}', Content("json", packed=False)),
        (b"[1]", Content("json", packed=False)),
        (b"a,b\n1,2\n", Content("text", packed=False)),
        (b"PAR1....", Content("parquet", packed=False)),
        (b"ab\0cd", Content("binary", packed=False, binary_at=2)),
        (b"abc\xff", Content("binary", packed=False, binary_at=3)),
        ("{" + "ä" * HEAD_BYTES, Content("json", packed=False)),
        (gzip.compress(b"{}", mtime=0), Content("json", packed=True)),
        (gzip.compress(b"", mtime=0), Content("empty", packed=True)),
    ],
)
def test_content_is_told_by_the_first_bytes(tmp_path, data, found):
    path = tmp_path / "file.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())

    assert content(path) == found


def test_an_unknown_format_is_refused_with_the_nearest_name():
    with pytest.raises(BadInput, match=r"No format 'jager'. Did you mean jaeger\?"):
        readers_named("jager")

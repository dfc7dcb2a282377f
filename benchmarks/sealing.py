"""What sealing costs beside compressing the same bytes, and how small the result is."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from benchmarks.measure import Race, Ratio, Row, Settings, cpu, race, row
from benchmarks.stores import recorded, seal_all

__all__ = ["rows"]

_CHUNK = 1 << 20


def rows(settings: Settings) -> list[Row]:
    """Measure the seal of one journal of the common workload, and the bytes before and behind it."""
    import pyarrow as pa

    count = settings.common
    codec = pa.Codec("zstd", compression_level=3)
    with recorded(count, sealed=False) as store, tempfile.TemporaryDirectory(prefix="tele-bench-") as folder:
        journal = b"".join(path.read_bytes() for path in (store / "journal").iterdir())
        number = 0

        def sealing() -> float:
            nonlocal number
            number += 1
            copy = Path(folder) / f"{number}"
            shutil.copytree(store, copy)
            took = cpu(lambda: seal_all(copy))
            shutil.rmtree(copy)
            return took

        def compressing() -> float:
            return cpu(lambda: [codec.compress(journal[at : at + _CHUNK]) for at in range(0, len(journal), _CHUNK)])

        took = race({"tele seal": sealing, "zstd-3, 1 MB chunks": compressing}, settings.rounds)
        seal_all(store)
        sealed = sum(path.stat().st_size for path in (store / "segments").rglob("*.parquet"))
        whole = sealed + sum(path.stat().st_size for path in (store / "manifest").iterdir())
    return [_seal(took, count), *_sizes(count, len(journal), sealed, whole)]


def _seal(took: Race, count: int) -> Row:
    what = f"seal of {count:,} spans (total)"
    return row("seal", what, took, "tele seal", "zstd-3, 1 MB chunks", 4.0, per=1)


def _sizes(count: int, journal: int, sealed: int, whole: int) -> list[Row]:
    part, each = sealed / journal, whole / count
    return [
        Row(
            "size",
            "Parquet bytes / journal bytes",
            f"{sealed / 1e6:.1f} MB",
            f"{journal / 1e6:.1f} MB",
            Ratio(part, part, part),
            0.25,
        ),
        Row(
            "bytes-per-span",
            f"common workload, {count:,} spans, sealed",
            f"{each:.0f} B a span, manifest included",
            "Inspect zip 408, JSONL 1346, Phoenix 1367, MLflow 2438 (published figures, not measured here)",
            Ratio(each, each, each),
            260.0,
            unit="B",
        ),
    ]

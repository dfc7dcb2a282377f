"""Foreign traces in: each format is one module with `NAME`, `sniff` and `read`; `ingest` does the rest."""

from tele.telemetry.ingest.detect import READERS, detect
from tele.telemetry.ingest.driver import IngestReport, ingest
from tele.telemetry.ingest.identity import with_ids
from tele.telemetry.ingest.record import Place, Problem, Record

__all__ = ["READERS", "IngestReport", "Place", "Problem", "Record", "detect", "ingest", "with_ids"]

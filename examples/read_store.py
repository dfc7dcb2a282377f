"""Print the events of a store as JSON, by docs/reference/format.md alone: `read_store.py STORE`. Damage ends it."""

import json
import sys
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import pyarrow.parquet as pq

NOWHERE = {"experiment": "default", "experiment_id": "e37a8eec1ce19687d132f"}
GONE = {"removed": "segments", "set_aside": "segments", "forgotten": "journals", "ended": "opened"}


def _checked(line: bytes, number: int, path: Path) -> dict:
    if line[-18:] != b',"crc":"%08x"}' % crc32(line[:-18]) or (facts := json.loads(line))["seq"] != number:
        sys.exit(f"{path}: line {number} is damaged")
    return facts


def _intact(path: Path, digest: str) -> Path:
    return path if sha256(path.read_bytes()).hexdigest() == digest else sys.exit(f"{path} is damaged")


def _row(writer: str, line: dict) -> dict:
    row = NOWHERE | {"writer": writer} | {key: value for key, value in line.items() if key not in ("crc", "blobs")}
    row |= {key: json.dumps(row[key]) for key in ("input", "output", "attributes", "resource", "links") if key in row}
    if "start_ns" in row and "end_ns" in row:
        row.setdefault("duration_ms", (row["end_ns"] - row["start_ns"]) / 1e6)
    return row | {key: f"blob:{name}" for key, name in line.get("blobs", {}).items()}


root, chain, state = Path(sys.argv[1]), [], {"segments": {}, "journals": {}, "opened": {}}
if json.loads(marker := (root / "store.json").read_bytes())["format"] > 1:
    _checked(marker[:-1], 0, root / "store.json")
for path in sorted((root / "manifest").glob("[0-9]*.json"), reverse=True):
    intact = _intact(path, chain[-1]["previous"]) if chain else path
    chain.append(_checked(intact.read_bytes()[:-1], int(path.stem), path))
    if "checkpoint" in chain[-1]:
        break
if chain and chain[-1]["n"] > 1 and "checkpoint" not in chain[-1]:
    sys.exit(f"{path}: the entry before it is missing")
for facts in reversed(chain):
    entry = facts["entry"] | {"segments": {segment["path"]: segment for segment in facts["entry"]["added"]}}
    for gone, part in GONE.items():
        state[part] = {key: v for key, v in (state[part] | entry[part]).items() if key not in entry.get(gone, ())}
    state = facts.get("checkpoint", state)
lines = [(writer, json.loads(line)) for writer, line, *_ in state["opened"].values()]
for path in sorted((root / "journal").glob("w*.jsonl")):
    sealed = state["journals"].get(path.stem, {"offset": 0, "next": 0})
    whole = path.read_bytes()[sealed["offset"] :].split(b"\n")[:-1]  # what is behind the last newline is torn
    lines += [(path.stem, _checked(line, sealed["next"] + at, path)) for at, line in enumerate(whole)]
lines.sort(key=lambda found: found[1].get("status") != "open")  # a span's end stands in the place of its start
rows = list({line["event_id"]: _row(writer, line) for writer, line in lines if "tele" not in line}.values())
for path, segment in state["segments"].items():
    rows += pq.ParquetFile(_intact(root / path, segment["sha256"])).read().drop(["time", "end_time"]).to_pylist()
for row in rows:
    for name in [row[key][5:] for key in ("input", "output") if (row.get(key) or "").startswith("blob:")]:
        _intact(root / "blobs" / name[:2] / name, name)
    print(json.dumps({key: value for key, value in row.items() if value is not None}))

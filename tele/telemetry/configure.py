"""`tele.configure`: set up this process's telemetry."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from tele.telemetry.process import process
from tele.telemetry.redaction.ruleset import set_up
from tele.telemetry.settings import Capture, Sealing

__all__ = ["configure"]


def configure(
    *,
    store: str | os.PathLike[str] | None = None,
    durability: str | None = None,
    sampling_rate: float | None = None,
    seal: Sealing | None = None,
    record_host: bool | None = None,
    prices: str | os.PathLike[str] | None = None,
    run_type: str | None = None,
    capture_input: Capture | None = None,
    capture_output: Capture | None = None,
    pii: bool | Iterable[str] | None = None,
    redact_keys: Iterable[str] | None = None,
    redact_patterns: Mapping[str, str] | None = None,
) -> None:
    """Set up this process's telemetry. What is not given stays as it was; call it before the first record.

    `store` is a folder (default `$TELE_STORE`, else the nearest `.tele`). `durability` is `process` (default: a
    record is in write(2) before its call returns), `fsync` or `buffered` (within 250 ms). `sampling_rate` in (0, 1]
    is decided for each trace by a hash of its id; 1.0 keeps all. `seal="manual"` leaves sealing to `tele seal`.
    `capture_input` and `capture_output` say what `tele.llm_call` keeps: `on`, `off`, or `hashed` by the store's key.
    `run_type` is `trial` or `milestone`, for runs that name none (default `$TELE_RUN_TYPE`, else `trial`).
    Secrets are always taken out; `pii` takes personal data out as well (True, or some of email, phone, iban, card,
    ip; default `$TELE_PII`), `redact_keys` the values under these names, `redact_patterns` (name to pattern, in RE2's
    syntax) what they match. `prices` is a price table of your own (default `$TELE_PRICES`, else `prices.toml` in the
    store). `tele.open`, `tele.analyze` and their like read the same store. Raises BadInput.
    """
    settings = process.settings.but(
        store=store,
        durability=durability,
        sampling_rate=sampling_rate,
        seal=seal,
        record_host=record_host,
        prices=prices,
        run_type=run_type,
        capture_input=capture_input,
        capture_output=capture_output,
    )
    if not (pii is None and redact_keys is None and redact_patterns is None):
        set_up(personal=pii, keys=redact_keys, patterns=redact_patterns)
    process.set_up(settings)

"""Secrets planted in every field of every way in: none is in the store, on a page, or in what a command prints."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys

import pytest

import tele
from tele.telemetry.redaction.ruleset import set_up
from tele.viewer.encode import unpack

# Well formed and false; put together here, so that no scanner takes this file for a leak.
SECRETS = {
    "github": "gh" + "p_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "anthropic": "sk-" + "ant-api03-" + "Zx9" * 15,
    "aws": "AK" + "IA" + "Q2W3E4R5T6Y7U2I3",
}
KEYED = "hunter2-keyed"
NEEDLES = [value.encode() for value in (*SECRETS.values(), KEYED)]


def everything(store):
    """Every byte of the store's files, Parquet as the rows it holds."""
    import duckdb

    found = b""
    for path in sorted(store.path.rglob("*")):
        if path.suffix == ".parquet":
            found += str(duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall()).encode()
        if path.is_file():
            found += path.read_bytes()
    return found


def assert_none(content, what):
    for needle in NEEDLES:
        assert needle not in content, f"{needle[:6]!r}... is in {what}"


def planted(secret):
    """A value with the secret in it at every depth, as text, key, JSON text and under a key that names it."""
    return {
        "text": f"it is {secret}.",
        "list": [secret, {"deep": (secret, {secret})}],
        secret: 1,
        "json": json.dumps({"a": [secret], "password": KEYED}),
        "api_key": KEYED,
        "bytes": secret.encode(),
    }


@pytest.mark.parametrize("name", SECRETS)
def test_no_way_of_recording_keeps_one(tele_store, name, tmp_path, caplog):
    secret = SECRETS[name]
    tele.configure(store=tele_store.path)
    texts = ("condition", "item_id", "cluster", "conversation_id", "model", "provider", "operation", "unit")
    everywhere = dict.fromkeys(texts, secret)
    of_run = {"hypothesis": secret, "description": secret, "tags": [secret], "x": planted(secret)}
    with caplog.at_level(logging.DEBUG):
        with tele.experiment(f"e {secret}", secret, **of_run):
            with tele.span(f"chat {secret}", planted(secret), **everywhere) as span:
                span.set(input=planted(secret), output=[planted(secret)], error_message=secret, error_type=secret)
                tele.event(secret, planted(secret), **everywhere)
                tele.metric(secret, 1.0, planted(secret), unit=secret)
                tele.score(span, secret, planted(secret), reason=secret)
            with pytest.raises(ValueError, match="x"), tele.span("fails", locals=planted(secret)):
                raise ValueError(f"x {secret}")

            @tele.span(f"decorated {secret}", note=secret)
            async def work():
                raise RuntimeError(secret)

            with pytest.raises(RuntimeError):
                asyncio.run(work())
            carried = tele.propagate()
        with (
            tele.attach({**carried, "BAGGAGE": f"{carried.get('BAGGAGE', '')},tele.item_id={secret}"}),
            tele.span("child"),
        ):
            pass
    assert_none(everything(tele_store), "the journal")
    tele_store.seal()
    assert_none(everything(tele_store), "the store")
    assert_none(caplog.text.encode(), "the program's log")


def test_no_warning_says_one(tele_store, caplog, monkeypatch):
    secret = SECRETS["github"]
    for module in ("plan", "kinds"):  # each warns once in a process
        monkeypatch.setattr(f"tele.telemetry.runs.{module}._warned", set())
    for run_id in (f"not sound {secret}", secret, secret):
        with tele.experiment("e", run_id=run_id, run_type=f"{secret}, not a type"):
            pass
    for said in ("an id of its own", "already, and none is written twice", "takes no notice of run_type"):
        assert said in caplog.text
    assert_none(caplog.text.encode(), "a warning")


@pytest.mark.parametrize("name", SECRETS)
def test_no_foreign_file_brings_one_in(tele_store, name, tmp_path):
    secret = SECRETS[name]
    value = {"stringValue": f"it is {secret}"}
    attributes = [{"key": "note", "value": value}, {"key": "authorization", "value": {"stringValue": KEYED}}]
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": f"chat {secret}",
        "startTimeUnixNano": "1760000000000000000",
        "endTimeUnixNano": "1760000001000000000",
        "attributes": [*attributes, {"key": "gen_ai.input.messages", "value": {"stringValue": json.dumps([secret])}}],
        "events": [{"name": secret, "timeUnixNano": "1760000000500000000", "attributes": attributes}],
        "status": {"code": 2, "message": secret},
        "traceState": f"k={secret}",
    }
    group = {"resource": {"attributes": attributes}, "scopeSpans": [{"scope": {"name": secret}, "spans": [span]}]}
    (tmp_path / "otlp.json").write_text(json.dumps({"resourceSpans": [group]}))
    (tmp_path / "calls.csv").write_text(f"name,note\nchat,{secret}\n")
    for file, extra in (
        ("otlp.json", ()),
        ("calls.csv", ("--select", "SELECT name, note AS error_message FROM source")),
    ):
        done = command("ingest", tmp_path / file, "--experiment", "x", *extra, "--store", tele_store.path)
        assert done.returncode == 0, done.stderr
        assert_none((done.stdout + done.stderr).encode(), "what ingest prints")
    assert_none(everything(tele_store), "the store")


def test_what_was_stored_before_a_rule_is_not_on_a_page(tele_store):
    """The store is older than the rule: the second gate stands before the page."""
    word = "ACME-" + "4711"
    try:
        with tele.experiment("e", condition=f"c {word}", hypothesis=word):
            with tele.span(f"chat {word}", input=[word], note={"deep": word}, model="gpt-4o", input_tokens=1) as span:
                span.fail(word, word)
                tele.event(f"note {word}", text=word)
            with tele.span("large", output="x" * 40_000 + word):
                pass
        tele_store.seal()
        set_up(patterns={"case": "ACME-[0-9]+"})
        text = tele.view("e", tele_store.path.parent / "page.html", store=tele_store.path).read_text()
        blocks = [unpack(part) for part in re.findall(r'type="application/json" id="[^"]+">([^<]+)<', text)]
        assert blocks
        assert word not in text
        assert word not in json.dumps(blocks)
        assert "REDACTED:case" in json.dumps(blocks)
    finally:
        set_up(patterns={})


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tele", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )

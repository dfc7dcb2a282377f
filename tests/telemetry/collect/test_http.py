"""What a client may do to the receiver: a clear answer each time, and the collector goes on."""

from __future__ import annotations

import gzip
import json
import socket
import time

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from .clients import Running, reply, request, span

PROTOBUF = "application/x-protobuf"
BIG = {"Content-Length": str(64 * 1024 * 1024 + 1)}


@pytest.fixture(autouse=True)
def _it_goes_on(running: Running):
    yield
    assert running.post({}).status == 200
    assert running.process.poll() is None


class TestTaken:
    def test_an_empty_request_of_each_signal_and_encoding(self, running):
        for path in ("/v1/traces", "/v1/logs", "/v1/metrics"):
            said = running.post({}, path)
            assert (said.status, said.headers["content-type"], said.body) == (200, "application/json", b"{}")
            said = running.post(b"", path, PROTOBUF)
            assert (said.status, said.headers["content-type"], said.body) == (200, PROTOBUF, b"")

    def test_parameters_of_the_content_type_and_a_query_do_not_matter(self, running):
        assert running.post({}, "/v1/traces?a=b", "Application/JSON; charset=utf-8").status == 200

    def test_unknown_fields_are_ignored(self, running):
        assert running.post({"resourceSpans": [], "newField": {"a": 1}}).status == 200

    def test_a_body_in_chunks(self, running):
        body = json.dumps(request(span(901), service="chunked")).encode()
        head = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7))
        assert running.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n").status == 200
        assert running.rows("SELECT count(*) FROM spans WHERE experiment = 'chunked'") == [(1,)]

    def test_gzip_also_of_several_members(self, running):
        body = json.dumps(request(span(902), service="gzipped")).encode()
        packed = gzip.compress(body[:50]) + gzip.compress(b"") + gzip.compress(body[50:])
        assert running.post(packed, headers={"Content-Encoding": "gzip"}).status == 200
        assert running.rows("SELECT count(*) FROM spans WHERE experiment = 'gzipped'") == [(1,)]

    def test_a_client_that_asks_whether_to_go_on_is_told_so(self, running):
        with running.connect() as client:
            head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            client.sendall(f"{head}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n".encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 100")
            client.sendall(b"{}")
            assert reply(client).status == 200

    def test_one_connection_takes_many_requests_also_sent_ahead(self, running):
        head = b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        one = head + b"Content-Length: 2\r\n\r\n{}"
        with running.connect() as client:
            client.sendall(one * 3)
            data = b""
            while data.count(b"HTTP/1.1 200") < 3 and (more := client.recv(65536)):
                data += more
        assert data.count(b"HTTP/1.1 200") == 3


class TestPartly:
    def test_what_cannot_be_read_is_rejected_and_the_rest_is_taken(self, running):
        good, bad = span(903), span(904, traceId="nonsense")
        said = running.post(request(good, bad, span(905, spanId=""), service="partly"))
        found = json.loads(said.body)["partialSuccess"]
        assert (said.status, found["rejectedSpans"]) == (200, "2")
        assert "resourceSpans[0].scopeSpans[0].spans[1]: traceId 'nonsense'" in found["errorMessage"]
        assert running.rows("SELECT count(*) FROM spans WHERE experiment = 'partly'") == [(1,)]

    def test_the_answer_to_protobuf_is_protobuf(self, running):
        message = ExportTraceServiceRequest()
        spans = message.resource_spans.add().scope_spans.add().spans
        spans.add(trace_id=bytes(15) + b"\1", span_id=bytes(7) + b"\7", name="fine")
        spans.add(trace_id=b"short", span_id=b"", name="no ids")
        said = running.post(message.SerializeToString(), kind=PROTOBUF)
        answer = ExportTraceServiceResponse.FromString(said.body)
        assert (said.status, answer.partial_success.rejected_spans) == (200, 1)
        assert "spanId" in answer.partial_success.error_message

    def test_a_request_of_which_nothing_can_be_read_is_bad_data(self, running):
        assert running.post(request(span(906, traceId="xyz"))).status == 400


@pytest.mark.parametrize(
    ("status", "path", "kind", "body", "headers"),
    [
        (404, "/", "application/json", b"{}", {}),
        (404, "/v1/traces/", "application/json", b"{}", {}),
        (404, "/v1/../v1/traces", "application/json", b"{}", {}),
        (404, "/v1%2ftraces", "application/json", b"{}", {}),
        (404, "/v1development/profiles", "application/json", b"{}", {}),
        (415, "/v1/traces", "text/plain", b"{}", {}),
        (415, "/v1/traces", "", b"{}", {}),
        (415, "/v1/traces", "application/json", b"{}", {"Content-Encoding": "br"}),
        (415, "/v1/traces", "application/json", b"{}", {"Content-Encoding": "gzip, gzip"}),
        (400, "/v1/traces", "application/json", b"{", {}),
        (400, "/v1/traces", "application/json", b"[]", {}),
        (400, "/v1/traces", "application/json", b"\xff\xfe", {}),
        (400, "/v1/traces", "application/json", b'{"resourceSpans": 7}', {}),
        (400, "/v1/traces", "application/json", b'{"resourceSpans":' + b"[" * 5000 + b"]" * 5000 + b"}", {}),
        (400, "/v1/traces", PROTOBUF, b"\x0a\xff\xff\xff\xff\x0f", {}),
        (400, "/v1/traces", PROTOBUF, b"{}", {}),
        (400, "/v1/traces", "application/json", b"plain", {"Content-Encoding": "gzip"}),
        (400, "/v1/traces", "application/json", gzip.compress(b"{}")[:-4], {"Content-Encoding": "gzip"}),
        (400, "/v1/traces", "application/json", gzip.compress(b"{}") + b"junk", {"Content-Encoding": "gzip"}),
        (400, "/v1/traces", PROTOBUF, gzip.compress(gzip.compress(bytes(10**6))), {"Content-Encoding": "gzip"}),
        (413, "/v1/traces", "application/json", b"", BIG),
        (413, "/v1/traces", PROTOBUF, gzip.compress(bytes(65 * 1024 * 1024)), {"Content-Encoding": "gzip"}),
        (403, "/v1/traces", "application/json", b"{}", {"Host": "evil.example"}),
        (403, "/v1/traces", "application/json", b"{}", {"Host": "127.0.0.1.evil.example"}),
        (403, "/v1/traces", "application/json", b"{}", {"Host": "localhost:80@evil.example"}),
        (403, "/v1/traces", "application/json", b"{}", {"Origin": "https://evil.example"}),
        (403, "/v1/traces", "application/json", b"{}", {"Origin": "null"}),
        (403, "/v1/traces", "application/json", b"{}", {"Origin": "http://127.0.0.1:4318"}),
        (403, "/v1/traces", "application/json", b"{}", {"Sec-Fetch-Site": "cross-site"}),
        (400, "http://127.0.0.1/v1/traces", "application/json", b"{}", {}),
    ],
    ids=lambda value: str(value) if isinstance(value, str | int) else type(value).__name__,
)
def test_what_is_refused_is_told_as_a_status_in_the_requests_encoding(running, status, path, kind, body, headers):
    said = running.post(body, path, kind, headers)
    assert said.status == status
    assert "access-control-allow-origin" not in said.headers
    if kind == PROTOBUF:
        told = Status.FromString(said.body)
        code, message = told.code, told.message
    else:
        told = json.loads(said.body)
        code, message = told["code"], told["message"]
    # of google.rpc.Code: INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED
    assert code == {400: 3, 404: 5, 403: 7, 413: 8, 415: 3}[status]
    assert message.endswith(".")


def test_other_methods_are_refused(running):
    for method in ("GET", "PUT", "OPTIONS", "DELETE"):
        said = running.raw(f"{method} /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
        assert (said.status, said.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (400, "Host: localhost\r\nContent-Length: 2\r\nContent-Length: 3"),
        (400, "Host: localhost\r\nContent-Length: -2"),
        (400, "Host: localhost\r\nContent-Length: 0x2"),
        (400, "Host: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked"),
        (501, "Host: localhost\r\nTransfer-Encoding: gzip, chunked"),
        (400, "Host: localhost\r\nHost: evil.example\r\nContent-Length: 2"),
        (400, "Content-Length: 2"),
        (400, "Host : localhost\r\nContent-Length: 2"),
        (400, "Host: localhost\r\n folded\r\nContent-Length: 2\r\nBad Name: x"),
        (431, "Host: localhost\r\nX: " + "x" * 20_000),
        (431, "Host: localhost\r\n" + "\r\n".join(f"X{n}: y" for n in range(5000))),
    ],
)
def test_a_head_that_two_readers_could_read_differently_is_refused(running, status, lines):
    head = f"POST /v1/traces HTTP/1.1\r\n{lines}\r\nContent-Type: application/json\r\n\r\n"
    assert running.raw(head.encode() + b"{}").status == status


def test_what_is_no_http_is_refused(running):
    assert running.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n").status == 400
    assert running.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status in (400, 505)


def test_a_body_that_is_shorter_than_it_says_is_not_taken(running):
    body = json.dumps(request(span(910), service="cut off")).encode()
    head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with running.connect() as client:
        client.sendall(f"{head}Content-Length: {len(body) + 9}\r\n\r\n".encode() + body)
        client.shutdown(socket.SHUT_WR)
        assert reply(client).status == 400
    assert running.rows("SELECT count(*) FROM spans WHERE experiment = 'cut off'") == [(0,)]


def test_a_large_body_that_nobody_reads_does_not_hide_the_answer(running):
    with running.connect() as client:
        client.sendall(
            b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n\r\n" + bytes(2_000_000)
        )
        assert reply(client).status == 404


def test_bombs_stay_within_the_memory(running):
    """1 GB of zeros is 1 MB of gzip; empty objects and attributes take a hundred times their bytes."""
    bomb = gzip.compress(bytes(2**20)) * 1024
    start = time.monotonic()
    assert running.post(bomb, kind=PROTOBUF, headers={"Content-Encoding": "gzip"}).status == 413
    assert time.monotonic() - start < 20
    many = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[' + b"{}," * 5_000_000 + b"{}]}]}]}]}"
    assert running.post(gzip.compress(many), headers={"Content-Encoding": "gzip"}).status == 413
    # a span of three million empty attributes: field 9, no bytes
    item = b"\x4a\x00" * 3_000_000
    for number in (2, 2, 1):
        size, length = len(item), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        item = bytes([number << 3 | 2]) + length + bytes([size]) + item
    assert running.post(gzip.compress(item, 1), kind=PROTOBUF, headers={"Content-Encoding": "gzip"}).status == 413
    assert running.peak < 256 * 1024 * 1024

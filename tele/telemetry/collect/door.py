"""Who may send, and what: a request's head is checked before a byte of its body is read.

A web page that the user has open can send requests to local ports too. By its browser's rules it says where it comes
from (`Origin`, `Sec-Fetch-Site`), and one that had its own name pointed at 127.0.0.1 (DNS rebinding) says that name in
`Host`. Both are refused.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tele.errors import BadInput
from tele.telemetry.collect.answer import JSON, PROTOBUF, Refused
from tele.telemetry.ingest.protobuf import Signal

__all__ = ["Door", "Head", "Request", "is_loopback"]

TOKEN_LENGTH = 16
"""Shorter tokens are refused: they can be guessed."""

_SIGNALS: dict[str, Signal] = {"/v1/traces": "traces", "/v1/logs": "logs", "/v1/metrics": "metrics"}
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:@/\[\]]+))(?::\d*)?")
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Head:
    """Method, target and headers of a request; header names are lower-case and bytes are read as Latin-1."""

    method: str
    target: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """What a request that may be read says about its body."""

    signal: Signal
    kind: str
    """Media type: JSON or PROTOBUF."""
    gzip: bool


@dataclass(frozen=True, slots=True)
class Door:
    """Where the collector listens, which decides what it asks of a client."""

    host: str = "127.0.0.1"
    port: int = 4318
    """0 takes a free one."""
    token: str | None = field(default=None, repr=False)
    """What clients send as `authorization: Bearer TOKEN`; None asks for none."""
    hosts: Iterable[str] = ()
    """Further names that clients may call the collector by."""

    def __post_init__(self) -> None:
        """Raise BadInput where anybody on the network could write."""
        if self.token is not None and (len(self.token) < TOKEN_LENGTH or not self.token.isascii()):
            raise BadInput(f"The collector's token has at least {TOKEN_LENGTH} ASCII characters.")
        if self.token is None and not is_loopback(self.host):
            raise BadInput(
                f"On {self.host} anybody on the network could write into the store: give clients a token, "
                "in the environment as TELE_COLLECT_TOKEN or in a file with --token-file."
            )

    def admit(self, head: Head, most: int) -> Request:
        """Check the head of a request whose body may have up to `most` bytes; raises Refused."""
        self._from_here(head)
        self._knows_token(head)
        path = head.target.partition("?")[0]
        signal = _SIGNALS.get(path)
        if signal is None:
            raise Refused(404, f"There is nothing at this path; send to {', '.join(_SIGNALS)}.")
        if head.method != "POST":
            raise Refused(405, f"{path} takes POST.", allow="POST")
        kind, coding = content_kind(head), head.headers.get("content-encoding", "identity").strip().lower()
        if kind not in (JSON, PROTOBUF):
            raise Refused(415, f"The content type is {PROTOBUF} or {JSON}.", accept=f"{PROTOBUF}, {JSON}")
        if coding not in ("gzip", "identity", ""):
            raise Refused(415, "The content encoding is gzip or identity.", accept_encoding="gzip, identity")
        _check_length(head, most)
        return Request(signal, kind, coding == "gzip")

    def _from_here(self, head: Head) -> None:
        """Refuse what a web page sends. With a token a page gets no further, whatever name it has."""
        said = head.headers
        if "origin" in said or said.get("sec-fetch-site", "none") != "none":
            raise Refused(403, "Requests of web pages are not taken.")
        if not head.target.startswith("/"):
            raise Refused(400, "The request's target is a path.")
        if self.token is None and hostname(said.get("host", "")) not in self._names():
            raise Refused(403, "The collector is not called by this name; allow one with --allow-host.")

    def _names(self) -> frozenset[str]:
        return _LOCAL | {name.lower() for name in (self.host, *self.hosts)}

    def _knows_token(self, head: Head) -> None:
        if self.token is None:
            return
        scheme, _, given = head.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode("latin-1", "replace"), self.token.encode())
        if scheme.lower() != "bearer" or not same:
            raise Refused(
                401, "Send the collector's token as `authorization: Bearer TOKEN`.", www_authenticate="Bearer"
            )


def content_kind(head: Head) -> str:
    """Give the media type of a request's body."""
    return head.headers.get("content-type", "").partition(";")[0].strip().lower()


def hostname(host: str) -> str:
    """Give the name in a Host header, without its port; nothing where it is malformed."""
    found = _HOST.fullmatch(host.strip().lower())
    return (found[1] or found[2].removesuffix(".")) if found else ""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_length(head: Head, most: int) -> None:
    stated = head.headers.get("content-length")
    if stated is None:
        return
    if "transfer-encoding" in head.headers:  # where two readers disagree about the end, a request hides in the body
        raise Refused(400, "A request has a content length or a transfer encoding, not both.")
    if int(stated) > most:  # a number: the parser of the head saw to that
        raise Refused(413, f"A request has at most {most:,} bytes; send smaller batches.")

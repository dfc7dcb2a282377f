"""OTLP over HTTP to an endpoint, as the specification asks of a client (opentelemetry.io/docs/specs/otlp).

429, 502, 503, 504 and connections that fail are tried again, after what `Retry-After` says, else after a pause that
doubles; any other refusal is final. What is not said is taken from `OTEL_EXPORTER_OTLP_*`.
"""

from __future__ import annotations

import gzip
import os
import random
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from tele.errors import BadInput, NotSent
from tele.telemetry.ambient import ambient
from tele.telemetry.ingest import wire
from tele.telemetry.ingest.protobuf import Signal
from tele.telemetry.otel.wire import PROTOCOLS, Protocol, encoded
from tele.telemetry.redact import redact

__all__ = ["Endpoint", "NoPath", "TooLarge", "endpoint", "public"]

DEFAULT_URL = "http://localhost:4318"
TIMEOUT = 10.0
PATIENCE = 60.0
"""Seconds that one request is tried again for."""
_AGAIN = frozenset({429, 502, 503, 504})
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_TOO_LARGE = 413
_NO_PATH = frozenset({404, 405, 501})
_SHOWN = 300
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_ANSWER_BYTES = 1 << 16
_SHORTEST_SECRET = 6
_KNOWN_WORDS = frozenset({*PROTOCOLS.values(), "Basic", "Bearer"})
"""Words of headers that are no secret."""


class TooLarge(Exception):
    """The endpoint takes no request of this size."""


class NoPath(NotSent):
    """The endpoint has no such path: many take traces alone."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go and how."""

    urls: Mapping[Signal, str]
    protocol: Protocol = "http/protobuf"
    compression: str = "gzip"
    headers: Mapping[Signal, Mapping[str, str]] = field(default_factory=dict, repr=False)  # they hold credentials
    timeout: float = TIMEOUT
    """Seconds of one try."""
    patience: float = PATIENCE
    sleep: Callable[[float], None] = time.sleep

    def send(self, document: dict[str, Any], signal: Signal) -> tuple[int, str]:
        """Send one export request; return how many of its items were rejected, and what the endpoint says of them.

        Raises NotSent where the endpoint refuses it or does not answer (NoPath where it has no place for the signal),
        TooLarge where the request should be split.
        """
        body = encoded(document, signal, self.protocol)
        headers = {"Content-Type": PROTOCOLS[self.protocol], "User-Agent": "tele", **self.headers.get(signal, {})}
        if self.compression == "gzip":
            body, headers = gzip.compress(body, 6), {**headers, "Content-Encoding": "gzip"}
        request = urllib.request.Request(self.urls[signal], body, headers)  # noqa: S310  # `endpoint` has seen that it is http
        end, pause = ambient.monotonic() / 1e9 + self.patience, _FIRST_PAUSE
        while True:
            why, wait = self._try(request)
            if not isinstance(why, str):
                rejected, said = _rejected(*why)
                return rejected, _clean(said, request)
            wait = wait if wait is not None else pause * random.uniform(0.8, 1.2)  # noqa: S311  # clients in step
            if ambient.monotonic() / 1e9 + wait > end:
                raise NotSent(public(self.urls[signal]), f"{why}, tried for {self.patience:g} s")
            self.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _try(self, request: urllib.request.Request) -> tuple[str | tuple[bytes, str], float | None]:
        """Send once: the answer and its content type, or why it is to be tried again and after how many seconds."""
        try:
            with _opener(request).open(request, timeout=self.timeout) as answer:
                return (answer.read(_ANSWER_BYTES), answer.headers.get_content_type()), None
        except urllib.error.HTTPError as error:
            with error:
                said = _clean(_said(error.read(_ANSWER_BYTES), error.headers.get_content_type()), request)
            if error.code == _TOO_LARGE:
                raise TooLarge from None
            why = f"it answers {error.code}{f': {said}' if said else ''}"
            if error.code not in _AGAIN:
                refused = NoPath if error.code in _NO_PATH else NotSent
                raise refused(public(request.full_url), why) from None
            return why, _after(error.headers.get("Retry-After"))
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise NotSent(
                    public(request.full_url), f"its certificate is not trusted ({error.reason.verify_message})"
                ) from None
            return f"there is no connection ({error.reason})", None
        except OSError as error:  # broken off, or too slow
            return f"the connection failed ({error or type(error).__name__})", None


def public(url: str) -> str:
    """Give an address without what may be a credential: its query."""
    return url.partition("?")[0]


def _clean(said: str, request: urllib.request.Request) -> str:
    """Give what an endpoint says without secrets: it may repeat the very headers that it was sent."""
    for value in request.headers.values():
        for word in value.split():
            if len(word) >= _SHORTEST_SECRET and word not in _KNOWN_WORDS:
                said = said.replace(word, f"[REDACTED:key:{len(word)}]")
    return str(redact(said))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is a refusal: following it would take the headers, and so credentials, to somebody else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _opener(request: urllib.request.Request) -> urllib.request.OpenerDirector:
    """Give what opens the request, by way of the proxy that the environment names."""
    tls = _tls(request)
    return urllib.request.build_opener(_NoRedirect, *([urllib.request.HTTPSHandler(context=tls)] if tls else []))


def _tls(request: urllib.request.Request) -> ssl.SSLContext | None:
    if request.type != "https":
        return None
    found = ssl.create_default_context(cafile=_environment("CERTIFICATE"))
    if certificate := _environment("CLIENT_CERTIFICATE"):
        found.load_cert_chain(certificate, _environment("CLIENT_KEY"))
    return found


def _after(text: str | None) -> float | None:
    """Seconds that `Retry-After` asks for: a number, or a date."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - ambient.now() / 1e9, 0.0)
    except ValueError:
        return None


def _said(body: bytes, kind: str) -> str:
    """What the endpoint says of a refusal: the message of its google.rpc.Status, or its text, one line of it."""
    text = ""
    try:
        if kind == "application/json":
            text = str(orjson.loads(body).get("message") or "")
        elif kind.startswith("text/"):
            text = body.decode("utf-8", "replace")
        elif kind == PROTOCOLS["http/protobuf"]:
            text = _text(wire.first(body, 2))
    except (ValueError, AttributeError):  # it says nothing that can be read
        pass
    return " ".join(text.split())[:_SHOWN]


def _rejected(body: bytes, kind: str) -> tuple[int, str]:
    """Items that an answer says were rejected, and why; an answer that says nothing took all."""
    try:
        if kind == "application/json":
            partial = orjson.loads(body).get("partialSuccess") or {}
            number = next((int(value) for key, value in partial.items() if key.startswith("rejected")), 0)
            return number, str(partial.get("errorMessage") or "")
        partial = wire.first(body, 1) if kind == PROTOCOLS["http/protobuf"] else None
        if isinstance(partial, bytes):
            count = wire.first(partial, 1)
            return (count if isinstance(count, int) else 0), _text(wire.first(partial, 2))
    except (ValueError, AttributeError):  # no OTLP answer: its status says that all was taken
        pass
    return 0, ""


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


# ── what is said and what the environment says ───────────────────────────────────────────────────────────────────────

_SIGNALS: tuple[Signal, ...] = ("traces", "logs", "metrics")


def endpoint(
    url: str | None = None,
    *,
    protocol: str | None = None,
    compression: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    patience: float = PATIENCE,
) -> Endpoint:
    """Give the endpoint that is named, completed by `OTEL_EXPORTER_OTLP_*`; raises BadInput for what cannot be used."""
    said = protocol or _environment("PROTOCOL") or "http/protobuf"
    if said not in PROTOCOLS:
        raise BadInput(f"The OTLP protocol is http/protobuf or http/json, not {said!r} (gRPC is not spoken).")
    packed = compression or _environment("COMPRESSION") or ("gzip" if url else "none")
    if packed not in {"gzip", "none"}:
        raise BadInput(f"OTLP is compressed by gzip or none, not {packed!r}.")
    if timeout is not None and not timeout > 0:
        raise BadInput(f"A timeout is above 0 seconds, not {timeout!r}.")
    sent = {signal: {**_headers(signal), **(headers or {})} for signal in _SIGNALS}
    for name, value in {**sent["traces"], **sent["logs"], **sent["metrics"]}.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):  # the value may be a secret
            raise BadInput(f"The header {name!r} cannot be sent: names are words, values are one line of Latin text.")
    return Endpoint(
        urls={signal: _url(url, signal) for signal in _SIGNALS},
        protocol=said,  # type: ignore[arg-type]  # one of PROTOCOLS
        compression=packed,
        headers=sent,
        timeout=timeout or _milliseconds(),
        patience=patience,
    )


def _environment(name: str, signal: Signal | None = None) -> str | None:
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}") if signal else None
    return own or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}")


def _url(given: str | None, signal: Signal) -> str:
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    if given is None and own:
        url = own  # it is the whole address
    else:
        base = given or _environment("ENDPOINT") or DEFAULT_URL
        if "?" in base or "#" in base:
            raise BadInput("A base address has no query: the path of each signal is put behind it.")
        for other in _SIGNALS:
            base = base.removesuffix(f"/v1/{other}")
        url = f"{base.rstrip('/')}/v1/{signal}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
        if parts.username is not None or parts.password is not None:
            raise BadInput("An OTLP endpoint has no user and password: send them as a header, `authorization`.")
    except ValueError:
        usable = False
    if not usable:
        raise BadInput(f"An OTLP endpoint is an address such as {DEFAULT_URL}, not {public(given or url)!r}.")
    return url


def _headers(signal: Signal) -> dict[str, str]:
    found: dict[str, str] = {}
    for member in (_environment("HEADERS", signal) or "").split(","):
        name, separator, value = member.partition("=")
        if separator and name.strip():
            found[unquote(name.strip())] = unquote(value.strip())
    return found


def _milliseconds() -> float:
    text = _environment("TIMEOUT")
    try:
        return float(text) / 1000 if text and float(text) > 0 else TIMEOUT
    except ValueError as error:
        raise BadInput(f"OTEL_EXPORTER_OTLP_TIMEOUT is a number of milliseconds, not {text!r}.") from error

"""The door `tele.otel`: it is there after `import tele`, and costs nothing before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tele
from tele.errors import BadInput


def ran(script):
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("way", ["import tele; tele.otel", "import tele.otel", "from tele import otel"])
def test_it_is_reachable_and_does_not_import_the_sdk(way):
    assert ran(f"import sys; {way}; print([m for m in sys.modules if m.startswith('opentelemetry')])") == "[]\n"


def test_without_the_sdk_one_sentence_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tele.telemetry.otel.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(tele.otel.__dict__, "install", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    with pytest.raises(BadInput, match=r"pip install 'tele\[otel\]'"):
        tele.otel.install()


def test_what_it_has_not_is_said_as_of_any_module():
    with pytest.raises(AttributeError, match="no attribute 'instal'"):
        tele.otel.instal  # noqa: B018

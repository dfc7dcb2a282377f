"""`tele collect` from the command line: where it listens, whom it lets in, and one sentence for what cannot be."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from tele.cli.collecting import token_in
from tele.errors import BadInput

pytest.importorskip("h11")
pytest.importorskip("opentelemetry.proto")

TOKEN = "a-token-that-is-long-enough"


def command(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tele", "collect", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def refused(*arguments: object, **environment: str) -> str:
    started = command(*arguments, **environment)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (2, "")
    assert "Traceback" not in err
    return err.strip()


def test_it_says_where_it_listens_and_on_ctrl_c_what_it_took(tmp_path):
    started = command("--port", 0, "--store", tmp_path / ".tele", TELE_COLLECT_TOKEN=TOKEN)
    line = started.stdout.readline()
    assert line.startswith("Listening on http://127.0.0.1:")
    assert str(tmp_path / ".tele") in line
    address = line.split()[2].rstrip(",")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    asked = urllib.request.Request(f"{address}/v1/logs", b"{}", headers)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        assert answer.read() == b"{}"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{address}/v1/logs", b"{}", timeout=20)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert started.returncode == 0
    assert err.startswith("tele refused a request with 401: ")
    assert len(err.splitlines()) == 1
    assert out.startswith("Took 0 records in 1 requests; ")
    assert "1 requests were refused" in out


def test_on_the_network_it_wants_a_token(tmp_path):
    said = refused("--host", "0.0.0.0", "--store", tmp_path / ".tele")
    assert "TELE_COLLECT_TOKEN" in said
    assert not (tmp_path / ".tele").exists()


def test_a_token_that_others_can_read_or_that_is_not_there_is_refused(tmp_path):
    path = tmp_path / "token"
    assert "cannot be read" in refused("--token-file", path, "--store", tmp_path / ".tele")
    path.write_text(TOKEN)
    path.chmod(0o644)
    with pytest.raises(BadInput, match="chmod 600"):
        token_in(path)
    path.chmod(0o600)
    assert token_in(path) == TOKEN
    path.write_text("")
    with pytest.raises(BadInput, match="holds no token"):
        token_in(path)


def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused("--port", port, "--store", tmp_path / ".tele")
    assert f"Cannot listen on 127.0.0.1, port {port}" in said
    assert "--port" in said


def test_without_its_library_it_names_the_extra(tmp_path):
    (tmp_path / "h11.py").write_text("raise ModuleNotFoundError('No module named h11', name='h11')")
    said = refused("--store", tmp_path / ".tele", PYTHONPATH=str(tmp_path))
    assert said == "tele: tele collect needs h11: pip install 'tele[server]'."

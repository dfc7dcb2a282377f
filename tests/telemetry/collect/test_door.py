"""Who gets in."""

from __future__ import annotations

import pytest

from tele.errors import BadInput
from tele.telemetry.collect.answer import Refused
from tele.telemetry.collect.door import Door, Head

TOKEN = "0123456789abcdef"


def status(door, **headers):
    head = Head("POST", "/v1/traces", {"content-type": "application/json", "content-length": "2", **headers})
    try:
        door.admit(head, 100)
    except Refused as refused:
        return refused.status
    return 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "collector.example", ""])
def test_without_a_token_nobody_else_can_reach_it(host):
    with pytest.raises(BadInput, match="TELE_COLLECT_TOKEN"):
        Door(host=host)
    assert Door(host=host, token=TOKEN).token == TOKEN


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_this_machine_none_is_needed(host):
    assert Door(host=host).token is None


@pytest.mark.parametrize("token", ["", "short", "0123456789abcdeé"])
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused(token):
    with pytest.raises(BadInput, match="16 ASCII"):
        Door(token=token)


def test_the_token_lets_in_whatever_name_it_is_called_by():
    door = Door(host="0.0.0.0", token=TOKEN)
    assert TOKEN not in repr(door)
    assert status(door, host="collector:4318", authorization=f"Bearer {TOKEN}") == 200
    assert status(door, host="collector:4318", authorization=f"bearer  {TOKEN} ") == 200
    for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "", f"Bearer {TOKEN}, Bearer {TOKEN}", "Bearer é"):
        assert status(door, authorization=wrong) == 401
    assert status(door) == 401
    assert status(door, authorization=f"Bearer {TOKEN}", origin="https://evil.example") == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "localhost.", "127.0.0.1:4318", "[::1]:4318", "box:80"])
def test_local_names_and_those_allowed_are_known(host):
    assert status(Door(hosts=("box",)), host=host) == 200


@pytest.mark.parametrize("host", ["", "box", "127.0.0.1.evil.example", "localhost:x", "a@localhost", "[::1", "::1"])
def test_other_names_are_not(host):
    assert status(Door(), host=host) == 403

"""`tele.instrument` says in one sentence what it cannot do."""

from __future__ import annotations

import importlib
import importlib.util

import pytest

from tele.errors import BadInput
from tele.telemetry.instrument import instrument
from tele.telemetry.instrument.registry import LIBRARIES


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(BadInput) as raised:
        instrument("lightllm")
    assert str(raised.value) == "tele.instrument does not know 'lightllm'. Nearest: litellm."


def test_a_name_near_to_none_is_refused_with_all():
    with pytest.raises(BadInput, match=r"Nearest: anthropic, dspy, litellm, openai, torch\."):
        instrument("xyz")


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_unknown_option_is_refused_with_those_that_there_are(library):
    with pytest.raises(BadInput, match=rf"tele\.instrument\('{library}'\) takes .*, and not nonsense\."):
        instrument(library, nonsense=1)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_missing_library_is_one_sentence_with_what_to_install(library, monkeypatch):
    real = importlib.import_module

    def missing(name, package=None):
        if name.partition(".")[0] == library:
            raise ModuleNotFoundError(f"No module named {library!r}", name=library)
        return real(name, package)

    monkeypatch.setattr("tele.telemetry.instrument.handle.importlib.import_module", missing)
    with pytest.raises(BadInput) as raised:
        instrument(library)
    assert str(raised.value) == (
        f"tele.instrument({library!r}): {library} is not installed. Run `pip install 'tele[{library}]'`."
    )
    assert raised.value.__cause__ is None


def test_every_library_has_an_extra_and_an_adapter_of_the_same_shape():
    for library in LIBRARIES:
        module = importlib.import_module(f"tele.telemetry.instrument.{library}")
        assert "install" in module.__all__

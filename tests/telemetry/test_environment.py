"""What a run ran on."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import version

import pytest

from tele.telemetry.environment import cheap_facts, environment


@pytest.fixture(autouse=True)
def not_remembered():
    environment.cache_clear()
    yield
    environment.cache_clear()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    (tmp_path / "a.txt").write_text("1")
    for command in (["init", "-q", "-b", "topic"], ["add", "."], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


def test_the_host_is_named_only_when_asked():
    assert "host" not in cheap_facts(host=False)
    assert cheap_facts(host=True)["host"] == platform.node()
    assert platform.node() not in str(environment(host=False)) or len(platform.node()) < 4


def test_packages_are_those_that_are_installed():
    found = environment(host=False)["packages"]
    assert {name: found[name] for name in ("duckdb", "orjson", "genai-prices")} == {
        name: version(name) for name in ("duckdb", "orjson", "genai-prices")
    }


def test_git_tells_commit_branch_and_whether_files_changed(repository):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True)
    assert environment(host=False)["git"] == {"commit": head.stdout.strip(), "branch": "topic", "dirty": False}
    (repository / "new.txt").write_text("untracked files change nothing")
    environment.cache_clear()
    assert environment(host=False)["git"]["dirty"] is False
    (repository / "a.txt").write_text("2")
    environment.cache_clear()
    assert environment(host=False)["git"]["dirty"] is True


def test_outside_a_repository_there_is_no_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "git" not in environment(host=False)


def test_without_git_there_is_no_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "git" not in environment(host=False)


def test_a_repository_without_a_commit_has_no_git(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    assert "git" not in environment(host=False)


def test_a_branch_of_odd_bytes_raises_nothing(repository, monkeypatch):
    def odd(*_, **__):
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    monkeypatch.setattr(subprocess, "run", odd)
    environment(host=False)


def test_a_path_of_odd_entries_raises_nothing(monkeypatch):
    monkeypatch.setattr(sys, "path", ["", "/nowhere", "/dev/null", *sys.path])
    assert environment(host=False)["packages"]

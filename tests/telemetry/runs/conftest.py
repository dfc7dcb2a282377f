"""A folder with code under git, for milestones to keep."""

from __future__ import annotations

import subprocess

import pytest


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with one commit, the working folder of the test."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name, value in (("GIT_AUTHOR_NAME", "a"), ("GIT_COMMITTER_NAME", "a")):
        monkeypatch.setenv(name, value)
    for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "a@example.org")
    (folder / "train.py").write_text("rate = 1\n")
    (folder / "uv.lock").write_text("version = 1\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    return folder

"""What the README and the tutorial show, runs."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def environment(folder: Path, fixtures: Path | None) -> dict[str, str]:
    """An environment in which `tele` is the command under test, at work in `folder`."""
    bin_ = folder / "bin"
    bin_.mkdir(exist_ok=True)
    script = bin_ / "tele"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tele "$@"\n')
    script.chmod(0o755)
    found = {key: value for key, value in os.environ.items() if key != "TELE_STORE"}
    return found | {"PATH": f"{bin_}:{os.environ['PATH']}", "FIXTURES": str(fixtures or "")}


def shell(block: str) -> list[str]:
    """Commands of a console block: `$ ` begins one, other lines go on with it."""
    return [command.strip() for command in re.split(r"^\$ ", block, flags=re.MULTILINE) if command.strip()]


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_every_block_runs_in_order(page, tmp_path, request):
    text = (ROOT / page).read_text()
    fixtures = request.getfixturevalue("fixtures") if "$FIXTURES" in text else None
    env = environment(tmp_path, fixtures)
    ran = 0
    for language, block in re.findall(r"^```(python|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language == "python":
            (tmp_path / "example.py").write_text(block)
            commands = [f'"{sys.executable}" -W error example.py']
        else:
            commands = shell(block)
        for command in commands:
            done = subprocess.run(
                command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            ran += 1
    assert ran > 3
    assert list(tmp_path.glob("*.html"))


PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in (ROOT / "docs").rglob("*.md")
    if "```python" in page.read_text() and page.name != "tutorial.md"
)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs_in_order_and_prints_what_it_says(page, tmp_path):
    """A block may say `python needs=NAME,NAME`: it is left out where such a library is not installed."""
    script, printed = [], []
    found = re.findall(
        r"^```python(?: needs=([\w,]+))?\n(.*?)^```\n(?:\n*```\n(.*?)^```)?",
        (ROOT / page).read_text(),
        re.MULTILINE | re.DOTALL,
    )
    for needs, block, output in found:
        if all(importlib.util.find_spec(name) for name in needs.split(",") if name):
            script.append(block)
            printed += output.splitlines()
    (tmp_path / "page.py").write_text("\n".join(script))
    done = subprocess.run(
        [sys.executable, "-W", "error", "page.py"],
        cwd=tmp_path,
        env=environment(tmp_path, None) | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for line in printed:
        assert line in done.stdout.splitlines(), f"{line}\n\nis not in\n\n{done.stdout}"


def test_no_example_is_longer_than_twenty_lines():
    for example in blocks("README.md", "python"):
        assert len([line for line in example.splitlines() if line.strip()]) <= 20


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())]
    inner = [(page, link) for page, link in links if "://" not in link]
    broken = [f"{page.name}: {link}" for page, link in inner if not (page.parent / link).exists()]
    assert broken == []


def test_make_demo_and_make_test_are_recipes_of_the_makefile():
    if shutil.which("make") is None:
        pytest.skip("no make here")
    for target in ("demo", "test"):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
        assert {"demo": "tele demo", "test": "pytest"}[target] in done.stdout

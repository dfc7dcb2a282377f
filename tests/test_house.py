"""The house keeps its shape: these are its conventions as checks."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tele

PACKAGE = Path(tele.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = ["errors", "store", "telemetry", "trace", "analysis", "exporters", "viewer", "otel", "scryptorum", "face"]
ROOMS += ["cli", "testing"]
LIGHT_AT_ROOT = {"__init__", "__main__"}
NOTHING_SAID = {"utils", "util", "helpers", "common", "base", "misc"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.Module) -> list[tuple[str, int]]:
    """Rooms of this package that a module imports, at any depth, `TYPE_CHECKING` included."""
    found = []
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            modules = [node.module or ""]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        found += [(m.split(".")[1] if "." in m else "", node.lineno) for m in modules if m.split(".")[0] == "tele"]
    return found


def public(tree: ast.Module | ast.ClassDef) -> list[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Public classes and functions of a module and of its public classes."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
    return found + [inner for node in found if isinstance(node, ast.ClassDef) for inner in public(node)]


def silent(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it has neither a docstring nor an excuse: an overload, or the method of a protocol that speaks for it."""
    overload = any(getattr(decorator, "id", "") == "overload" for decorator in node.decorator_list)
    empty = isinstance(node.body[0], ast.Expr) and getattr(node.body[0].value, "value", None) is ...
    return not (overload or empty or ast.get_docstring(node))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
class TestEveryFile:
    def test_imports_run_downhill(self, path):
        here = room(path)
        if here in LIGHT_AT_ROOT:
            return
        uphill = []
        for there, line in imported(ast.parse(path.read_text())):
            whole_face_is_for_the_command = there == "" and here in ("cli", "testing")
            if not whole_face_is_for_the_command and (there == "" or ROOMS.index(there) > ROOMS.index(here)):
                uphill.append(f"line {line}: {here} imports {there or 'tele'}")
        assert uphill == []

    def test_it_is_small_and_its_name_says_something(self, path):
        assert path.stem not in NOTHING_SAID
        assert len(path.read_text().splitlines()) <= 400
        functions = [
            n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
        ]
        assert [(n.name, n.lineno) for n in functions if (n.end_lineno or 0) - n.lineno > 60] == []

    def test_a_door_is_no_room(self, path):
        if path.name != "__init__.py" or path.parent == PACKAGE:
            return
        body = ast.parse(path.read_text()).body
        assert isinstance(body[0], ast.Expr), "a docstring first"
        allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.If)
        assert [type(node).__name__ for node in body[1:] if not isinstance(node, allowed)] == []

    def test_its_face_is_sorted_and_small(self, path):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                names = [ast.literal_eval(item) for item in node.value.elts]
                assert names == sorted(names, key=lambda n: (not n.isupper(), n[0].islower(), n))
                assert len(names) <= (40 if path.parent == PACKAGE or path.parent.name == "telemetry" else 17)

    def test_what_is_public_says_what_it_does(self, path):
        assert [
            f"{node.name} (line {node.lineno})" for node in public(ast.parse(path.read_text())) if silent(node)
        ] == []

    def test_nothing_is_left_for_later(self, path):
        assert re.findall(r"NotImplementedError\(|\bTODO\b|\bFIXME\b|\bXXX\b", path.read_text()) == []


def test_the_public_face_is_documented_and_sorted():
    assert list(tele.__all__) == sorted(tele.__all__, key=lambda name: (name[0].islower(), name))
    for name in tele.__all__:
        assert inspect.getdoc(getattr(tele, name)), name


def test_import_tele_stays_light():
    heavy = ["duckdb", "pyarrow", "polars", "pandas", "numpy", "litellm", "dspy", "torch", "opentelemetry", "pydantic"]
    heavy += ["genai_prices", "jinja2", "typer", "rich", "asyncio", "starlette", "uvicorn", "sqlite3"]
    script = f"import sys, json, tele; tele.span; print(json.dumps(sorted(set({heavy}) & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_importing_tele_opens_no_file_and_no_socket(tmp_path):
    script = """
import sys
seen = []
sys.addaudithook(lambda event, args: seen.append((event, str(args[0]))) if event.startswith("socket.") or
    (event == "open" and isinstance(args[2], int) and args[2] & 3) else None)
import tele
tele.span
print([item for item in seen if not item[1].endswith((".pyc", ".py")) and ".pyc." not in item[1]])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"
    assert list(tmp_path.iterdir()) == []


def commands() -> list[str]:
    from tele.cli.app import app

    return sorted((c.name or c.callback.__name__).replace("_", "-") for c in app.registered_commands)


def test_every_command_has_help_with_an_example():
    for command in commands():
        arguments = [sys.executable, "-m", "tele", command, "--help"]
        shown = subprocess.run(
            arguments, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"}
        ).stdout
        assert f"Example: tele {command}" in shown, command
        assert "Usage:" in shown


def test_every_command_is_told_once_by_the_help_of_tele_itself():
    shown = subprocess.run([sys.executable, "-m", "tele", "--help"], capture_output=True, text=True, check=True).stdout
    rows = [line.split()[0] for line in shown.partition("\nRecord:")[2].splitlines() if line.startswith("  ")]
    assert sorted(rows) == sorted([*commands(), "chain", "store"])


def test_every_command_stands_in_the_reference():
    reference = Path(__file__).resolve().parents[1] / "docs" / "reference" / "commands.md"
    text = reference.read_text()
    assert [command for command in commands() if f"## tele {command}\n" not in text] == []


def test_the_generated_pages_are_those_that_the_code_would_write(tmp_path):
    root = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, str(root / "docs" / "generate.py"), str(tmp_path)], check=True)
    for page in tmp_path.iterdir():
        assert page.read_text() == (root / "docs" / "reference" / page.name).read_text(), (
            f"run `make docs`: {page.name}"
        )


def test_decisions_are_numbered_without_gaps():
    folder = Path(__file__).resolve().parents[1] / "docs" / "decisions"
    numbers = sorted(int(path.name[:4]) for path in folder.glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))

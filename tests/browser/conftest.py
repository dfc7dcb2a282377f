"""Opens pages in a real browser, from files, and collects what it complains of."""

from __future__ import annotations

import importlib.util
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tele.viewer import view

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.effectiveDirective));
"""


@pytest.fixture(scope="session")
def memory():
    """The module that makes records and stores in memory."""
    path = Path(__file__).parents[1] / "viewer" / "memory.py"
    spec = importlib.util.spec_from_file_location("viewer_memory", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browser():
    """A Chromium, or a skip where there is none.

    It goes with its module: playwright keeps an event loop running in the thread, where other tests run their own.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}; set CHROMIUM to one")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


@dataclass
class Opened:
    """A page that is open, and what the browser said about it."""

    page: object
    said: list[str] = field(default_factory=list)

    @property
    def violations(self):
        """Directives of the policy that something ran against."""
        return self.page.evaluate("window.violations")

    def texts(self, selector):
        """Texts of the elements in sight, from the top."""
        return self.page.eval_on_selector_all(selector, "all => all.map(each => each.textContent)")

    def rows(self):
        """Names of the rows of the list that is shown, from the top."""
        script = """all => all
            .map(row => [row.getBoundingClientRect().top, row.querySelector('.what')?.textContent])
            .sort((a, b) => a[0] - b[0]).map(([, text]) => text)"""
        return self.page.eval_on_selector_all(".spacer .row", script)

    def row_at(self, x, y):
        """Index of the row that a click at a point would meet, or None."""
        return self.page.evaluate("([x, y]) => document.elementFromPoint(x, y)?.closest('.row')?.dataset.index", [x, y])

    def wait(self, condition):
        """Wait until an expression holds; the page's policy forbids playwright's own waiting, which evaluates text."""
        deadline = time.monotonic() + 20
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"never true in the page: {condition}"
            self.page.wait_for_timeout(30)


@pytest.fixture
def opened(browser, tmp_path):
    """Open the page of a target of a store: `opened(reader, target, hash="", **context)`."""
    contexts = []

    def make(reader, target="prompt-ab", hash_="", **options):
        context = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        shown = Opened(page)
        page.on("console", lambda message: shown.said.append(message.text))
        page.on("pageerror", lambda error: shown.said.append(str(error)))
        page.on("dialog", lambda dialog: shown.said.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: request.url.startswith("file:") or shown.said.append(request.url))
        page.add_init_script(WATCH)
        page.goto(view(reader, target, tmp_path / "page.html").as_uri() + hash_)
        if options.get("java_script_enabled", True):
            page.wait_for_selector("body[data-ready]", timeout=60_000)
        return shown

    yield make
    for context in contexts:
        context.close()

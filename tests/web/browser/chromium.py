"""Debian's Chromium as a person's browser, with everything it complains about written down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, sync_playwright

BINARY = shutil.which("chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
AXE = (Path(__file__).parents[1] / "vendor" / "axe.min.js").read_text()
WIDE, PHONE = 1280, 390
Scheme = Literal["light", "dark"]

# Reported by the browser itself, whether or not the console mentions it.
_WATCH = """
addEventListener("securitypolicyviolation", (event) =>
    console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


@dataclass
class Complaints:
    """Console errors, exceptions and violations of the Content-Security-Policy."""

    lines: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.add_init_script(_WATCH)
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("pageerror", lambda error: self.lines.append(str(error)))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.lines.append(text)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BINARY, headless=True, args=list(FLAGS)
        )
        yield browser
        browser.close()


@contextmanager
def page_of(browser: Browser, width: int, scheme: Scheme = "light") -> Iterator[Page]:
    """A fresh visitor; at the end nothing may have been complained about."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
    )
    context.set_default_timeout(30_000)
    page = context.new_page()
    complaints = Complaints()
    complaints.listen(page)
    yield page
    context.close()
    assert complaints.lines == []


# A colour on its way to another is neither.
_SETTLED = """Promise.all(document.getAnimations()
    .filter((each) => each instanceof CSSTransition)
    .map((each) => each.finished.catch(() => null)))"""


def axe(page: Page) -> list[str]:
    """The serious and critical findings of axe-core, a line each, once the page has settled."""
    page.evaluate(AXE)
    page.evaluate(_SETTLED)
    found: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{finding['id']}: {node['target']} {node['failureSummary']}"
        for finding in found["violations"]
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]


def overflows(page: Page) -> bool:
    """Whether the page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))

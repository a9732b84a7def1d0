"""One service with real workers and one browser for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.conftest import missing
from tests.support import pictures
from tests.support.origin import Origin
from tests.support.servers.service import Service
from tests.web.browser.chromium import BINARY, PHONE, WIDE, Scheme, chromium, page_of

PICTURE_SIZE = (640, 480)
# A busy machine may take its time; nothing here measures it.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="package")
def service(origin_server: Origin) -> Iterator[Service]:
    """A laptop's: SQLite, files, no sign-in. It may fetch from the origin and, for its sample,
    from itself."""
    running = Service(origin_server.port, env={"WEB_WORKERS": "1", "LOG_LEVEL": "WARNING"})
    running.env["OUTBOUND_ALLOW_PORTS"] += f",{running.port}"
    running.start()
    yield running
    running.stop()
    running.close()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Closed with this folder's last test: its event loop must not outlive them."""
    if BINARY is None:
        missing("chromium is not installed: run tests/support/servers/install-system-packages")
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Visitors of a given width; whatever their consoles complain about fails the test."""
    with ExitStack() as stack:

        def visitor(width: int = WIDE, scheme: Scheme = "light") -> Page:
            return stack.enter_context(page_of(browser, width, scheme))

        yield visitor


@pytest.fixture(params=[WIDE, PHONE])
def page(request: pytest.FixtureRequest, visit: Callable[..., Page]) -> Page:
    """A visitor at a desk, and one with a telephone."""
    return visit(request.param)


@pytest.fixture
def desk(visit: Callable[..., Page]) -> Page:
    return visit(WIDE)


@pytest.fixture
def shop(origin: Origin) -> Origin:
    """The origin with four drawn pictures: /1.jpg to /4.jpg."""
    for seed in range(1, 5):
        data = pictures.jpeg(seed, PICTURE_SIZE)
        origin.serve(f"/{seed}.jpg", data, content_type="image/jpeg")
    return origin


def sheet(origin: Origin, *paths: str) -> bytes:
    """A CSV of one product a path."""
    rows = [f"P{place},Shoe {place},{origin.url}{path}" for place, path in enumerate(paths, 1)]
    return "\n".join(["S. No.,Product Name,Input Image Urls", *rows, ""]).encode()


def file(name: str, data: bytes) -> FilePayload:
    """What a person picks in the file dialog."""
    return {"name": name, "mimeType": "text/csv", "buffer": data}


CATALOGUE = ("/1.jpg", "/2.jpg", "/3.jpg", "/4.jpg")


def finished(page: Page, state: str = "COMPLETED") -> None:
    """Wait until the request that the page shows has ended so, by the page's own doing."""
    page.locator(f"#progress[data-state={state}]").wait_for(timeout=60_000)

"""A small catalogue to try the service with: drawn pictures and their CSV.

The demo serves it from an origin of its own, the pages from the service itself.

Some pictures are what real catalogues bring: turned by EXIF, transparent, CMYK; one link is broken
and one file is no image. Each item says how it must end.
"""

from __future__ import annotations

import csv
import functools
import io
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from imageproc import pictures
from imageproc.faults import NOT_AN_IMAGE, NOT_FOUND, Fault

SIZE = (1600, 1200)
NOTES = b"These are notes, not pixels.\n" * 40


@dataclass(frozen=True, slots=True)
class Item:
    """A product with one image. ``draw`` None: the link is broken. ``fault``: how it must fail."""

    name: str
    file: str
    draw: Callable[[], bytes] | None
    fault: Fault | None = None

    @property
    def status(self) -> str:
        return "FAILED" if self.fault else "COMPLETED"

    @property
    def error(self) -> str:
        return self.fault.sentence if self.fault else ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    items: list[Item]
    port: int

    @property
    def csv(self) -> str:
        return csv_of(self.items, f"http://127.0.0.1:{self.port}")


def items_of(count: int) -> Iterator[Item]:
    """``count`` pictures, the special ones first, and the two that must fail."""
    for seed in range(1, count + 1):
        name, suffix, draw = SPECIAL.get(seed, ("Plain photograph", "jpg", _plain))
        yield Item(name, f"{seed:03}.{suffix}", functools.partial(draw, seed))
    yield Item("Broken link", "gone.jpg", None, NOT_FOUND)
    yield Item("Not a picture", "notes.jpg", lambda: NOTES, NOT_AN_IMAGE)


def csv_of(items: Iterable[Item], address: str) -> str:
    """The CSV of ``items`` that are served under ``address``, which has no slash at its end."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["S. No.", "Product Name", "Input Image Urls"])
    for number, item in enumerate(items, 1):
        writer.writerow([f"P{number:03}", item.name, f"{address}/{item.file}"])
    return text.getvalue()


@contextmanager
def serving(folder: Path, count: int) -> Iterator[Catalogue]:
    """The catalogue drawn into ``folder`` and served from it on loopback, while the block runs."""
    folder.mkdir(parents=True)
    items = list(items_of(count))
    for item in items:
        if item.draw is not None:
            (folder / item.file).write_bytes(item.draw())
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Catalogue(items, server.server_port)
        finally:
            server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """The demo's terminal shows progress, not requests."""


def _plain(seed: int) -> bytes:
    return pictures.jpeg(seed, SIZE)


def _turned(seed: int) -> bytes:
    return pictures.turned(6, seed, SIZE)


def _upside_down(seed: int) -> bytes:
    return pictures.turned(3, seed, SIZE)


def _transparent(seed: int) -> bytes:
    return pictures.encoded(pictures.cut_out(seed, SIZE), "PNG")


def _cmyk(seed: int) -> bytes:
    return pictures.encoded(pictures.draw(seed, SIZE).convert("CMYK"), "JPEG", quality=90)


def _webp(seed: int) -> bytes:
    return pictures.encoded(pictures.draw(seed, SIZE), "WEBP", quality=85)


SPECIAL: dict[int, tuple[str, str, Callable[[int], bytes]]] = {
    2: ("Photograph on its side (EXIF 6)", "jpg", _turned),
    3: ("Photograph upside down (EXIF 3)", "jpg", _upside_down),
    4: ("Cut-out with transparency", "png", _transparent),
    5: ("Print file in CMYK", "jpg", _cmyk),
    6: ("WebP from another shop", "webp", _webp),
}

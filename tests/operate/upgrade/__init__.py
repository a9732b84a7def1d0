"""What a released version left when it was killed with requests in hand, in `released.tar.gz`:

``rows.sql``     the database, by pg_dump
``data/``        its data folder, with the stored files
``client.json``  what its client was promised, and the webhooks that had arrived

It is made by that version's own code (see __main__.py), and test_upgrade.py goes on from it. URLs
of pictures and webhooks stand in rows and files: their origin has one address for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.origin import Origin

RELEASED = Path(__file__).with_name("released.tar.gz")
HOST, PORT = "127.86.0.1", 18686
HOOK, LATE_HOOK = "/hook", "/late-hook"


@contextmanager
def fixed_origin(*, late_hook: int) -> Iterator[Origin]:
    """The origin; the status is what its second receiver of webhooks answers."""
    origin = Origin()
    origin.host = HOST
    origin.serve(HOOK, b"", content_type="text/plain")
    origin.serve(LATE_HOOK, b"", content_type="text/plain", status=late_hook)
    origin.start(PORT)
    try:
        yield origin
    finally:
        origin.stop()

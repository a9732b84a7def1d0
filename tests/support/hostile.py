"""An origin on an address of its own that keeps a record of how long it could hold its clients."""

from __future__ import annotations

import asyncio
import time

from tests.support.origin import Asked, Origin, Reply

# What it does, and how the image must end. ``cut`` is half a picture that says it is whole.
KINDS = {
    "slow-headers?ms=400": "fetch_timeout",
    "slow-body?ms=400": "fetch_timeout",
    "hang": "fetch_timeout",
    "endless": "too_large",
    "reset": "fetch_interrupted",
    "short": "fetch_interrupted",
    "cut": "image_truncated",
    "retry-after/1?status=429": "host_busy",
}


class HostileOrigin(Origin):
    """``held``: (path, seconds) of each exchange, until its answer was out or its client gone."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host
        self.held: list[tuple[str, float]] = []

    def urls(self, count: int, picture: bytes) -> dict[str, str]:
        """``count`` URLs, of each kind in turn → the code of the fault each must end with."""
        self.replies["/cut"] = Reply(picture, "image/jpeg", declared=len(picture) // 2)
        kinds = list(KINDS.items())
        return {
            f"{self.url}/{kind}{'&' if '?' in kind else '?'}n={n}": code
            for n in range(count)
            for kind, code in [kinds[n % len(kinds)]]
        }

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client that leaves ends the conversation, whatever this origin is at."""
        conversation = asyncio.ensure_future(super()._converse(reader, writer))
        while not (conversation.done() or reader.at_eof() or writer.is_closing()):
            await asyncio.wait([conversation], timeout=0.05)
        if not conversation.done():
            await asyncio.wait([conversation], timeout=0.05)
        conversation.cancel()
        await asyncio.gather(conversation, return_exceptions=True)

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        began = time.monotonic()
        try:
            await super()._answer(asked, writer)
        finally:
            self.held.append((asked.path, time.monotonic() - began))

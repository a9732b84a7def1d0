"""An origin with a limit of its own, which counts: so many requests a second, a ban, an outage."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from tests.support import numbered as numbered  # registers the pictures
from tests.support.origin import Asked, Origin, Reply


class LimitedOrigin(Origin):
    """Gives ``rate`` pictures a second (0: any), a second's worth of them at once; refuses the
    others with ``status``, and with Retry-After where ``retry_after`` is set.

    ``ban``: after so many refusals in a row, refuses all for ``ban_seconds`` with ``ban_status``.
    ``down``: every connection is reset. ``log``: the time of each request and its answer's status.
    """

    def __init__(self, host: str, rate: float = 0.0) -> None:
        super().__init__()
        self.host, self.rate, self.status, self.retry_after = host, rate, 429, ""
        self.ban, self.ban_seconds, self.ban_status = 0, 60.0, 429
        self.down = False
        self.refused_connections = 0
        self.log: list[tuple[float, int]] = []
        self._tokens, self._filled_at = rate, time.monotonic()
        self._in_a_row, self._banned_until = 0, 0.0

    @property
    def answers(self) -> Counter[int]:
        """Requests by the status of their answer."""
        return Counter(status for _, status in self.log)

    def urls(self, count: int) -> dict[str, str]:
        """``count`` sound images, each of which must be done."""
        return {f"{self.url}/numbered/{n}.jpg": "COMPLETED" for n in range(count)}

    def took(self) -> float:
        """Seconds from the first request to the last."""
        return self.log[-1][0] - self.log[0][0]

    def busiest(self, seconds: float) -> int:
        """The most requests within a span of so many seconds."""
        times = [at for at, _ in self.log]
        first = most = 0
        for last, at in enumerate(times):
            while times[first] <= at - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.down:
            self.refused_connections += 1
            writer.transport.abort()
            return
        await super()._converse(reader, writer)

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if self.down:
            self.refused_connections += 1
            writer.transport.abort()
            return
        status = self._status()
        self.log.append((time.monotonic(), status))
        if status == 200:
            await super()._answer(asked, writer)
        else:
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            writer.write(Reply(b"slow down\n", "text/plain", status, headers).encode())
            await writer.drain()

    def _status(self) -> int:
        now = time.monotonic()
        if now < self._banned_until:
            return self.ban_status
        self._tokens = min(self.rate, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        if not self.rate or self._tokens >= 1:
            self._tokens, self._in_a_row = self._tokens - 1, 0
            return 200
        self._in_a_row += 1
        if self.ban and self._in_a_row >= self.ban:
            self._banned_until, self._in_a_row = now + self.ban_seconds, 0
        return self.status

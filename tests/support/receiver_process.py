"""The process of a webhook receiver: verifies, writes down, and misbehaves as told.

``python receiver_process.py PORT FOLDER``. ``FOLDER/secret``: what to verify with.
``FOLDER/plan``: one answer a line, taken from the top; none left: 200. ``FOLDER/log``: a JSON line
a message. ``FOLDER/clock``: the seconds by which the receiver's clock is ahead.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import datetime, tzinfo
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standardwebhooks import webhooks
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

FOLDER = Path(sys.argv[2])


class Clock(datetime):
    """What the verification reads: it refuses what is five minutes old."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Clock:
        ahead = FOLDER / "clock"
        seconds = float(ahead.read_text()) if ahead.exists() else 0.0
        return cls.fromtimestamp(time.time() + seconds, tz)


webhooks.datetime = Clock  # type: ignore[attr-defined]
_lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with _lock:
            answer = self._next()
            self._write_down(body, answer)
        self._answer(answer)

    def _next(self) -> str:
        plan = FOLDER / "plan"
        answers = plan.read_text().split() if plan.exists() else []
        plan.write_text("\n".join(answers[1:]))
        return answers[0] if answers else "200"

    def _write_down(self, body: bytes, answer: str) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            Webhook((FOLDER / "secret").read_text()).verify(body, headers)
            genuine = True
        except WebhookVerificationError:
            genuine = False
        line = {
            "id": headers.get("webhook-id"),
            "signatures": len(headers.get("webhook-signature", "").split()),
            "genuine": genuine,
            "body": body.decode(),
            "answer": answer,
        }
        with (FOLDER / "log").open("a") as log:
            log.write(json.dumps(line) + "\n")

    def _answer(self, answer: str) -> None:
        if answer == "slow":
            time.sleep(3)
        if answer == "hangup":
            self.close_connection = True
            return
        self.send_response(int(answer) if answer.isdigit() else 200)
        if answer == "302":
            self.send_header("Location", "/elsewhere")
        if answer == "503":
            self.send_header("Retry-After", "120")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"told")

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

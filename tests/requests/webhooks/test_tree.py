"""A real worker tree delivers while the receiver fails and restarts and senders are killed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.support.receiver import Receiver
from tests.workers.harness import Tree, wait_for

MESSAGES = 12
ROOT = Path(__file__).resolve().parents[3]


def owe(workers: Tree, url: str) -> str:
    command = [sys.executable, "-m", "tests.requests.webhooks.owe", url, str(MESSAGES)]
    done = subprocess.run(command, env=workers.env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def delivered(workers: Tree) -> bool:
    rows = workers.query("SELECT status FROM imageproc_webhookdelivery")
    return Counter(row[0] for row in rows) == {"DELIVERED": MESSAGES}


def test_nothing_undelivered_no_id_changed_no_bad_signature(
    tree: Callable[..., Tree], receiver: Receiver
) -> None:
    workers = tree(
        DJANGO_SETTINGS_MODULE="config.settings",
        OUTBOUND_ALLOW_CIDRS="127.0.0.0/8",
        OUTBOUND_ALLOW_PORTS=f"80,443,{receiver.port}",
        WEBHOOK_TIMEOUT=2,
        WEBHOOK_SCHEDULE=",".join(["0.3"] * 30),
    )
    receiver.plan("500", "hangup", "302", "500", "404")
    receiver.trust(owe(workers, receiver.url))
    workers.start(roles=4)
    wait_for(lambda: len(receiver.log) >= 5, 60)
    receiver.stop()
    workers.kill("control.worker")
    receiver.start()
    # A killed sender's lease runs out first.
    wait_for(lambda: delivered(workers), 120)
    taken = [seen for seen in receiver.log if seen["answer"] == "200"]
    rows = workers.query("SELECT id FROM imageproc_webhookdelivery")
    ids = {f"msg_{row[0]}".replace("-", "") for row in rows}
    assert {seen["id"] for seen in taken} == ids
    assert {seen["id"] for seen in receiver.log} == ids
    assert all(seen["genuine"] for seen in receiver.log)

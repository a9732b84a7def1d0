"""What the workers under test run. Files tell the test what happened."""

import os
import signal
import time
from pathlib import Path

from imageproc.workers import stop_requested


def touch(path: str) -> None:
    Path(path).touch()


def note(path: str, line: str = "x") -> int:
    """Append a line; lines so far."""
    with Path(path).open("a") as file:
        file.write(f"{line}\n")
    return len(Path(path).read_text().splitlines())


def die(path: str) -> None:
    """Kill the own process, as the kernel does when memory runs out."""
    note(path)
    os.kill(os.getpid(), signal.SIGKILL)


def leave(path: str) -> None:
    note(path)
    os._exit(0)


def nap(path: str, seconds: float) -> None:
    """Deaf to everything for ``seconds``."""
    note(path, "begin")
    time.sleep(seconds)
    note(path, "end")


def deafen(path: str) -> None:
    """Hear no alarm, like a loop in C."""
    note(path)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    time.sleep(600)


def work_until_stopped(path: str) -> None:
    """A pump: sees the stop, then needs a moment to bring its work home."""
    note(path, "begin")
    while not stop_requested():
        time.sleep(0.01)
    note(path, "asked")
    time.sleep(0.5)
    note(path, "end")


def big(path: str, payload: bytes) -> bytes:
    note(path, str(len(payload)))
    return payload


def fail(path: str) -> None:
    note(path)
    raise ValueError("on purpose")


def tick() -> None:
    if path := os.environ.get("TICK_FILE"):
        count = note(path)
        if count == 1:
            raise RuntimeError("a tick that fails")

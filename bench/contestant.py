"""A contestant: a program that gets ready, waits for the word, works, and tells what it did.

So that nobody is measured while starting: ``ready`` on standard output, a line on standard input,
then one line of JSON (``Lap`` as a dict).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.ground import ROOT
from bench.usage import Usage


@dataclass(frozen=True, slots=True)
class Lap:
    """What one contestant did in one round. ``cpu_ms`` of an image over whole process trees,
    ``worker_ms`` of the processes that handle images only; ``peak_mb`` of one of these."""

    images: int
    seconds: float
    cpu_ms: float
    bytes_out: int
    worker_ms: float = 0.0
    peak_mb: float = 0.0
    commits_an_image: float = 0.0

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds


def race(command: Sequence[str], env: Mapping[str, str] | None = None) -> Lap:
    """Run a contestant's program once."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | dict(env or {}),
    )
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline().strip() == "ready", f"{command[0]} did not get ready"
    with Usage({"contestant": process.pid}) as usage:
        process.stdin.write("go\n")
        process.stdin.flush()
        told = json.loads(process.stdout.readline())
    process.stdin.close()
    assert process.wait(30) == 0
    cpu = told["cpu_seconds"] / told["images"] * 1000
    return Lap(
        images=told["images"],
        seconds=told["seconds"],
        cpu_ms=cpu,
        worker_ms=cpu,
        bytes_out=told["bytes_out"],
        peak_mb=told.get("peak_mb") or usage.peak_rss_mb(),
    )

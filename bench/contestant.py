"""A contestant: a program that gets ready, waits for a start signal, works and prints what it did.

Its start is not measured: it prints ``ready``, waits for a line on standard input, and ends with
one line of JSON (``Lap`` as a dict).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.ground import ROOT
from bench.usage import Usage


@dataclass(frozen=True, slots=True)
class Lap:
    """What one contestant did in one round. ``cpu_ms`` of an image over whole process trees,
    ``worker_ms`` of the processes that handle images only, ``storage_ms`` of the object store;
    ``peak_mb`` of one worker."""

    images: int
    seconds: float
    cpu_ms: float
    bytes_out: int
    worker_ms: float = 0.0
    storage_ms: float = 0.0
    peak_mb: float = 0.0
    commits_an_image: float = 0.0

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds


def race(command: Sequence[str], env: Mapping[str, str] | None = None, copies: int = 1) -> Lap:
    """Run a contestant's program once, or ``copies`` of it side by side, each with all its work."""
    processes = [_ready(command, env) for _ in range(copies)]
    with Usage({f"contestant {at}": process.pid for at, process in enumerate(processes)}) as usage:
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        results = [_result_of(process) for process in processes]
    for process in processes:
        process.communicate(timeout=30)
        assert process.returncode == 0
    images = sum(each["images"] for each in results)
    cpu = sum(each["cpu_seconds"] for each in results) / images * 1000
    return Lap(
        images=images,
        seconds=max(each["seconds"] for each in results),
        cpu_ms=cpu,
        worker_ms=cpu,
        bytes_out=sum(each["bytes_out"] for each in results),
        peak_mb=max(each.get("peak_mb", 0) for each in results) or usage.peak_rss_mb(),
    )


def _ready(command: Sequence[str], env: Mapping[str, str] | None) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | dict(env or {}),
    )
    assert process.stdout
    assert process.stdout.readline().strip() == "ready", f"{command[0]} did not get ready"
    return process


def _result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout
    return dict(json.loads(process.stdout.readline()))

"""The benchmarks' own measures. How fast anything is, no test says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.budgets import Budget
from bench.usage import Usage

BUSY = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass"
WAIT = "\nimport sys; sys.stdin.readline()"


def test_the_cpu_of_children_counts() -> None:
    child = f"{BUSY.format(seconds=0.5)}{WAIT}"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE)
    with Usage({"tree": process.pid}) as usage, pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)
    process.communicate(b"\n", timeout=10)
    assert usage.cpu("tree") > 0.1
    assert usage.cpu("other") == 0
    assert usage.peak_rss_mb() > 1


@pytest.mark.parametrize(
    ("measured", "at_least", "verdict"),
    [
        (8.0, False, "pass"),
        (8.1, False, "short"),
        (8.0, True, "pass"),
        (7.9, True, "short"),
        (None, True, "not measured"),
    ],
)
def test_a_budget_is_judged(measured: float | None, at_least: bool, verdict: str) -> None:
    assert Budget("promise", measured, 8.0, at_least).verdict == verdict

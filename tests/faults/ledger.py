"""The table of the fault suite: printed at the end, and kept as JSON under var/. A plugin."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import Verdict

SEED = int(os.environ.get("FAULT_SEED", "20240617"))
RESULTS = Path(__file__).resolve().parents[2] / "var" / "faults.json"
_rows: list[dict[str, Any]] = []


class Ledger:
    """Takes the verdict of each scenario; any mismatch fails it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def close(self, verdict: Verdict, recovery: list[float] | None = None, **facts: Any) -> None:
        row: dict[str, Any] = {"scenario": self.name, "seed": SEED, **verdict.counts, **facts}
        if recovery:
            ordered = sorted(recovery)
            row["recovery_p95_s"] = round(ordered[int(0.95 * (len(ordered) - 1))], 1)
            row["recovery_max_s"] = round(ordered[-1], 1)
        _rows.append(row)
        assert verdict.clean, "\n".join([str(row), *verdict.notes])


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    return Ledger(request.node.name)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of ``pytest -n`` sends its rows to the one that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["faults"] = _rows


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _rows.extend(getattr(node, "workeroutput", {}).get("faults", []))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not _rows:
        return
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(_rows, indent=1))
    terminalreporter.section(f"faults, seed {SEED}")
    for row in _rows:
        facts = "  ".join(f"{key} {value}" for key, value in row.items() if key != "scenario")
        terminalreporter.line(f"{row['scenario']}: {facts}")

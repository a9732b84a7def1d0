"""Results as Markdown: docs/performance.md is written from bench/results/*.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from bench import budgets
from bench.budgets import Budget
from bench.ground import ROOT

RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"

HEAD = """# Performance

Written by `make bench` and `make bench-million` from `bench/results/`; the figures are of one
machine and one run, so read the ratios. Contestants take turns in each round; the medians stand
here, and of ratios the median of the rounds' own. CPU is that of whole process trees.
"""
SPEED = """
## Side by side

The **ceiling** fetches and compresses and does nothing else, in as many processes as the service
has workers. The **service** runs on PostgreSQL with fsync, an S3 server (SeaweedFS) and a local
origin, all of them on the same cores: its images/s pay for all of these.
"""
MILLION = """
## A million images

One CSV of a million rows, and its images processed while they are written: web server, workers,
database, object store and client on the same cores.
"""
SHARES = """Each part has the share of the processor that `docker-compose.yml` gives it.
"""
NO_SHARES = """No control groups: each of PostgreSQL's backends has the share of a container.
"""


def write_page() -> None:
    """docs/performance.md from the results that there are."""
    parts = [HEAD]
    if (found := _read("speed")) is not None:
        parts += [SPEED, _conditions(found), _laps(found["laps"], found["other"])]
        parts.append(_budgets(budgets.of_speed(found)))
    if (found := _read("million")) is not None:
        parts += [MILLION, SHARES if found.get("shares") else NO_SHARES, _conditions(found)]
        parts.append(_budgets(budgets.of_a_million(found)))
    PAGE.write_text("\n".join(parts))


def keep(name: str, found: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")


def _read(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def _conditions(found: dict[str, Any]) -> str:
    rounds = f" Rounds: {found['rounds']}." if "rounds" in found else ""
    return (
        f"{found['machine']}, {found['cores']} cores, {found['at']}; load average "
        f"{found['load_before']:.1f} before and {found['load_after']:.1f} after the run.{rounds}\n"
    )


def _laps(laps: dict[str, dict[str, float]], other: dict[str, Any]) -> str:
    quality = other.get("quality", {})
    rows = [
        (
            name,
            f"{lap['rate']:.1f}",
            f"{lap['cpu_ms']:.1f}",
            f"{lap['worker_ms']:.1f}",
            f"{lap['bytes_an_image']:,.0f}",
            f"{quality[name]:.1f}" if name in quality else "",
            f"{lap['peak_mb']:.0f}",
        )
        for name, lap in laps.items()
    ]
    head = ("", "images/s", "CPU ms", "of workers", "bytes", "SSIMULACRA2", "peak MB")
    return _table(head, rows)


def _budgets(found: Iterable[Budget]) -> str:
    rows = [
        (b.promise, _number(b.measured), f"{'≥' if b.at_least else '≤'} {b.limit:,g}", b.verdict)
        for b in found
    ]
    return _table(("Budget", "measured", "limit", ""), rows)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

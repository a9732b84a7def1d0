"""What the service promises of its speed, each held against what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

EVERY_CORE = "codec on every core"


@dataclass(frozen=True, slots=True)
class Budget:
    """``measured`` must be at most, or at least, ``limit``; None: not measured in this run."""

    promise: str
    measured: float | None
    limit: float
    at_least: bool = False

    def __str__(self) -> str:
        measured = "–" if self.measured is None else f"{self.measured:,.2f}"
        sign = "≥" if self.at_least else "≤"
        return f"{self.verdict:12} {self.promise}: {measured} ({sign} {self.limit:,g})"

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        kept = self.measured >= self.limit if self.at_least else self.measured <= self.limit
        return "pass" if kept else "short"


def of_speed(found: dict[str, Any]) -> list[Budget]:
    """The budgets of `make bench`; ``found`` as bench.__main__ writes it."""
    laps, each, other = found["laps"], found["each"], found["other"]

    def ratio(key: str, of: str, to: str) -> float | None:
        """The median of the rounds' own: a shared host is faster in one round than in the next."""
        if of not in each or to not in each:
            return None
        return float(median(a / b for a, b in zip(each[of][key], each[to][key], strict=True)))

    def value(key: str, lap: str) -> float | None:
        return laps[lap][key] if lap in laps else None

    overhead = None
    if "service" in each and EVERY_CORE in each:
        # Cores share memory and cache: the codec itself takes more CPU while all of them are busy.
        pairs = zip(each["service"]["worker_ms"], each[EVERY_CORE]["cpu_ms"], strict=True)
        overhead = median(worker - codec for worker, codec in pairs)
    size = None
    if "codec" in laps and "sharp" in laps:
        size = laps["codec"]["bytes_an_image"] / laps["sharp"]["bytes_an_image"]
    by_cpu = None
    if small := laps.get("service, small"):
        by_cpu = 1000 * found["cores"] / (small["cpu_ms"] - small["storage_ms"])
    quality = other.get("quality", {})
    better = quality["codec"] - quality["sharp"] if len(quality) == 2 else None
    return [
        Budget("codec: CPU an image, of sharp's", ratio("cpu_ms", "codec", "sharp"), 0.85),
        Budget("codec: bytes, of sharp's", size, 1.0),
        Budget("codec: SSIMULACRA2 above sharp's", better, 0.0, at_least=True),
        Budget("images/s, of the ceiling's", ratio("rate", "service", "ceiling"), 0.85, True),
        Budget(
            "the same, origin 250 ms away",
            ratio("rate", "service, far", "ceiling, far"),
            0.85,
            True,
        ),
        Budget("worker CPU an image above the codec's, ms", overhead, 8),
        Budget("commits an image", value("commits_an_image", "service"), 0.1),
        Budget("peak memory of a worker, MB", value("peak_mb", "service"), 300),
        Budget("200 × 200 images/s", value("rate", "service, small"), 250, True),
        Budget("the same by CPU, the object store elsewhere", by_cpu, 250, True),
        Budget("5 images behind a large request, s", other.get("small_behind_large_s"), 5),
        Budget("idle, percent of a core", other.get("idle_percent"), 2),
    ]


def of_a_million(found: dict[str, Any]) -> list[Budget]:
    """The budgets of `make bench-million`; ``found`` as bench.million writes it."""
    get = found.get
    cost = None
    if get("image_ms_at_a_million") and get("image_ms_at_ten_thousand"):
        cost = found["image_ms_at_a_million"] / found["image_ms_at_ten_thousand"]
    ahead = get("first_image_before_ingest_end_s")
    row_ms = get("ingest_python_ms_a_row", 0.0) + get("ingest_postgres_ms_a_row", 0.0)
    return [
        Budget("upload accepted, fully validated, s", get("accept_s"), 20),
        Budget("the same, s of CPU", get("accept_cpu_s"), 20),
        Budget("peak memory of a web process, MB", get("web_peak_mb"), 200),
        Budget("ingest beside two workers, rows/s", get("ingest_rows_s"), 20_000, True),
        Budget("the same, rows/s of CPU", 1000 / row_ms if row_ms else None, 20_000, True),
        Budget("first image done ahead of the ingest's end, s", ahead, 0, True),
        Budget("status during the ingest, p95, ms", get("ingesting_status_p95_ms"), 30),
        Budget("list of requests during the ingest, p95, ms", get("ingesting_list_p95_ms"), 200),
        *(
            Budget(f"{name} after it, p95, ms", get(f"{key}_p95_ms"), limit)
            for key, name, limit in _PAGES
        ),
        Budget("output CSV, rows/s", get("output_rows_s"), 30_000, True),
        Budget("the same, rows/s of CPU", get("output_rows_cpu_s"), 30_000, True),
        Budget("memory growth of the output's writer, MB", get("output_growth_mb"), 20),
        Budget("cost of an image, of that at 10,000 rows", cost, 1.2),
    ]


_PAGES = (
    ("status", "status", 30),
    ("list", "list of requests", 200),
    ("request_page", "page of the request", 200),
    ("dashboard", "dashboard", 200),
    ("admin_requests", "admin's list of requests", 200),
    ("admin_request", "admin's page of the request", 200),
    ("admin_images", "admin's list of images", 200),
)

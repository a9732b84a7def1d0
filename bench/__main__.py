"""`make bench`: the contestants side by side, in turn, and a table of what they took.

python -m bench [--smoke] [--rounds N] [--images N]
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench import inputs, service, table
from bench.budgets import EVERY_CORE
from bench.contestant import Lap, race
from bench.ground import ROOT, Ground, OriginProcess, ground
from config.cores import cores

SHARP = ROOT / "bench" / "peers" / "sharp.mjs"
IMG2DATASET = ROOT / "bench" / "peers" / ".venv" / "bin" / "python"
SETTLE_SECONDS = 90  # until the autovacuum after the last lap is over; it starts once a minute
WORKERS = cores()  # as many as the service starts by itself


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one tiny round; proves nothing")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1200, help="photographs a round")
    parser.add_argument("--out", default="speed", help="name of the result")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.images = 1, 4
    found = conditions() | {"rounds": options.rounds, "images": options.images}
    with ground(WORKERS) as real:
        warm_up(real)
        laps = _rounds(real, options.rounds, options.images)
        found["laps"] = {name: _median(each) for name, each in laps.items()}
        found["each"] = {name: _of_each(each) for name, each in laps.items()}
        found["other"] = {} if options.smoke else _other(real)
    if not options.smoke:
        found["other"]["quality"] = _quality()
    found["load_after"] = os.getloadavg()[0]
    table.keep(options.out, found)
    table.write_page()


def warm_up(real: Ground) -> None:
    """A worker's first image costs some 2 s of CPU: botocore reads its models, libvips starts."""
    service.lap(real, real.near, list(inputs.small_pictures()), 200)


def conditions() -> dict[str, Any]:
    """Where and when a run took place."""
    return {
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": WORKERS,
        "load_before": os.getloadavg()[0],
    }


def _rounds(real: Ground, rounds: int, images: int) -> dict[str, list[Lap]]:
    laps: dict[str, list[Lap]] = {}
    for number in range(rounds):
        for name, run in _contestants(real, images):
            lap = run()
            laps.setdefault(name, []).append(lap)
            print(f"{number + 1} {name:16} {lap.rate:7.1f}/s {lap.cpu_ms:7.1f} ms", file=sys.stderr)
    return laps


def _contestants(real: Ground, images: int) -> Iterator[tuple[str, Callable[[], Lap]]]:
    photos, small = list(inputs.photographs()), list(inputs.small_pictures())
    repeats = str(max(1, images // 40))
    folder = str(real.near.pictures / "photographs")
    codec = [sys.executable, "-m", "bench.codec", folder, repeats]
    yield "codec", lambda: race(codec)
    if sharp_is_there():
        yield "sharp", lambda: race(["node", str(SHARP), folder, repeats, "mozjpeg"])
        yield "sharp, baseline", lambda: race(["node", str(SHARP), folder, repeats, "baseline"])
    if IMG2DATASET.exists():
        peer = [str(IMG2DATASET), str(ROOT / "bench" / "peers" / "img2dataset_lap.py")]
        yield "img2dataset", lambda: _fetching(peer, real.near, photos, images)
    # A contestant runs right before the one that it is compared with: the speed of a host varies.
    yield EVERY_CORE, lambda: race(codec, copies=WORKERS)
    yield "ceiling", lambda: _ceiling(real.near, photos, images)
    yield "service", lambda: service.lap(real, real.near, photos, images)
    yield "ceiling, far", lambda: _ceiling(real.far, photos, images)
    yield "service, far", lambda: service.lap(real, real.far, photos, images)
    yield "ceiling, small", lambda: _ceiling(real.near, small, images * 10)
    yield "service, small", lambda: service.lap(real, real.near, small, images * 10)


def sharp_is_there() -> bool:
    return bool(shutil.which("node")) and (SHARP.parent / "node_modules" / "sharp").is_dir()


def _ceiling(origin: OriginProcess, names: list[str], count: int) -> Lap:
    return _fetching([sys.executable, "-m", "bench.ceiling"], origin, names, count)


def _fetching(command: list[str], origin: OriginProcess, names: list[str], count: int) -> Lap:
    """A contestant that gets a file of URLs and the number of processes it may start."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(inputs.urls(origin.url, names, count)))
        file.flush()
        return race([*command, file.name, str(WORKERS)])


def _other(real: Ground) -> dict[str, Any]:
    small = list(inputs.small_pictures())
    time.sleep(SETTLE_SECONDS)
    idle = service.idle(real)
    behind = service.small_behind_large(real, small, large=100_000)
    return {"small_behind_large_s": behind, "idle_percent": idle}


def _quality() -> dict[str, float]:
    """SSIMULACRA2 of both codecs, where sharp and the extra ``bench`` are installed."""
    from bench.quality import ssimulacra2

    with tempfile.TemporaryDirectory() as folder:
        sources, ours, theirs = (Path(folder, name) for name in ("sources", "ours", "theirs"))
        for each in (sources, ours, theirs):
            each.mkdir()
        inputs.write_to(sources, inputs.photographs())
        race([sys.executable, "-m", "bench.codec", str(sources), "1", str(ours)])
        found = {"codec": ssimulacra2(sources, ours)}
        if sharp_is_there():
            race(["node", str(SHARP), str(sources), "1", "mozjpeg", str(theirs)])
            found["sharp"] = ssimulacra2(sources, theirs)
    return found


def _median(laps: list[Lap]) -> dict[str, float]:
    rows = [
        asdict(lap) | {"rate": lap.rate, "bytes_an_image": lap.bytes_out / lap.images}
        for lap in laps
    ]
    return {key: median(row[key] for row in rows) for key in rows[0]}


def _of_each(laps: list[Lap]) -> dict[str, list[float]]:
    """Round by round."""
    names = ("rate", "cpu_ms", "worker_ms")
    return {name: [getattr(lap, name) for lap in laps] for name in names}


if __name__ == "__main__":
    main()

"""The ceiling: fetch and compress, and nothing else; as many processes as cores.

    python -m bench.ceiling URL_FILE PROCESSES

No queue, no database, no storage, no judging of addresses: urllib3 and the codec.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import urllib3

from imageproc.images.compress import Budget, Rendition, compress
from imageproc.images.presets import PRESETS

# Enough to hide 250 ms of latency behind the codec.
THREADS = 24


class _Loop:
    """One process: its threads take the next URL of all until there is none."""

    def __init__(self, urls: list[str], taken: Any) -> None:
        self._urls, self._taken = urls, taken
        self._pool = urllib3.PoolManager(maxsize=THREADS, retries=False)
        self._compressing = threading.Lock()

    def run(self) -> tuple[int, int, float]:
        """Images, bytes out, CPU seconds."""
        before = time.process_time()
        with ThreadPoolExecutor(THREADS) as threads:
            sizes = [size for part in threads.map(self._work, range(THREADS)) for size in part]
        return len(sizes), sum(sizes), time.process_time() - before

    def _work(self, _: int) -> list[int]:
        sizes = []
        while (at := self._next()) < len(self._urls):
            data = self._pool.request("GET", self._urls[at]).data
            with self._compressing:
                rendition = compress(data, PRESETS["catalog"].recipe, Budget())
            assert isinstance(rendition, Rendition), rendition
            sizes.append(len(rendition.data))
        return sizes

    def _next(self) -> int:
        with self._taken.get_lock():
            at: int = self._taken.value
            self._taken.value += 1
        return at


def _process(urls: list[str], taken: Any, go: Any, results: Any) -> None:
    results.put(None)
    go.wait()
    results.put(_Loop(urls, taken).run())


def main(file: str, processes: int) -> None:
    urls = Path(file).read_text().split()
    context = get_context("spawn")
    taken, go, results = context.Value("q", 0), context.Event(), context.Queue()
    arguments = (urls, taken, go, results)
    children = [context.Process(target=_process, args=arguments) for _ in range(processes)]
    for child in children:
        child.start()
    for _ in children:
        results.get()
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.monotonic()
    go.set()
    ended = [results.get() for _ in children]
    seconds = time.monotonic() - started
    images, size, cpu = (sum(part) for part in zip(*ended, strict=True))
    result = {"images": images, "seconds": seconds, "bytes_out": size, "cpu_seconds": cpu}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("VIPS_CONCURRENCY", "1")
    main(sys.argv[1], int(sys.argv[2]))

"""Our codec alone, on one core: bytes of a file to bytes of a rendition.

    python -m bench.codec FOLDER REPEATS [OUT_FOLDER]

With OUT_FOLDER the renditions of the first pass are kept there, to be looked at.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from imageproc.images.compress import Budget, Rendition, compress
from imageproc.images.presets import PRESETS


def main(folder: str, repeats: int, out: str = "") -> None:
    files = {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.jpg"))}
    first = {name: _compressed(data) for name, data in files.items()}  # warms up
    for name, data in first.items() if out else ():
        (Path(out) / name).write_bytes(data)
    print("ready", flush=True)
    sys.stdin.readline()
    started, before = time.monotonic(), time.process_time()
    size = sum(len(_compressed(data)) for _ in range(repeats) for data in files.values())
    result = {
        "images": repeats * len(files),
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - before,
        "bytes_out": size,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }
    print(json.dumps(result), flush=True)


def _compressed(data: bytes) -> bytes:
    rendition = compress(data, PRESETS["catalog"].recipe, Budget())
    assert isinstance(rendition, Rendition), rendition
    return rendition.data


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])

"""img2dataset on the same URLs, to the same box and quality. Runs in an environment of its own.

    python bench/peers/img2dataset_lap.py URL_FILE PROCESSES

It writes files: no queue, no database, no object store, no retry.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

# Two of its libraries would call home.
os.environ |= {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}

from img2dataset import download

THREADS = 24


def main(file: str, processes: int) -> None:
    count = len(Path(file).read_text().split())
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # its processes print much
    print("ready", file=answers)
    sys.stdin.readline()
    with tempfile.TemporaryDirectory() as out:
        started = time.monotonic()
        _download(file, out, processes, count)
        seconds = time.monotonic() - started
        made = [path.stat().st_size for path in Path(out).rglob("*.jpg")]
    result = {
        "images": len(made),
        "seconds": seconds,
        "bytes_out": sum(made),
        "cpu_seconds": sum(_cpu(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)),
    }
    print(json.dumps(result), file=answers)


def _download(file: str, out: str, processes: int, count: int) -> None:
    download(
        url_list=file,
        output_folder=f"{out}/images",
        output_format="files",
        input_format="txt",
        image_size=800,
        resize_mode="keep_ratio_largest",
        resize_only_if_bigger=True,
        encode_format="jpg",
        encode_quality=30,
        processes_count=processes,
        thread_count=THREADS,
        number_sample_per_shard=max(1, count // (4 * processes)),
        disallowed_header_directives=[],
    )


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

"""How fast the output CSV is written, and in how much memory: a process of its own.

python -m bench.output REQUEST_ID
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

from bench.ground import ROOT
from tests.support.servers.service import Service


def output_speed(service: Service, request_id: str) -> dict[str, float]:
    """Rows a second of CPU time, and MB by which the process grew."""
    command = [sys.executable, "-m", "bench.output", request_id]
    env = service.env | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, env=env, cwd=ROOT, check=True, capture_output=True)
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def main(request_id: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    from imageproc.models import ProcessingRequest
    from imageproc.requests import report

    request = ProcessingRequest.objects.get(id=request_id)
    blocks = report.output_file(request)
    next(blocks)
    before = _peak_mb()
    started, cpu = time.monotonic(), time.process_time()
    size = sum(map(len, blocks))
    seconds = time.monotonic() - started
    found = {
        "output_rows_s": request.total_products / seconds,
        "output_rows_cpu_s": request.total_products / (time.process_time() - cpu),
        "output_growth_mb": _peak_mb() - before,
        "output_mb": size / 1e6,
    }
    print(json.dumps(found))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main(sys.argv[1])

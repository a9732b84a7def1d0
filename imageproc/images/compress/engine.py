"""libvips, set up once a process: one thread a picture, nothing cached, known loaders only.

libvips starts its threads at the first operation, not at import, and a process forked after that
would wait for ever for threads it did not inherit. So nothing here happens before the first
picture, and using an engine inherited from a parent is an error instead of a hang.
"""

from __future__ import annotations

import os
import threading
from types import ModuleType
from typing import Any

# The only readers of pixels that a file may reach. All others (SVG, raw, CSV, vips' own format, …)
# are blocked in libvips itself, whatever calls for them.
_LOADERS = (
    "VipsForeignLoadJpegSource",
    "VipsForeignLoadPngSource",
    "VipsForeignLoadWebpSource",
    "VipsForeignLoadTiffSource",
    "VipsForeignLoadHeifSource",
)

_lock = threading.Lock()
_ready_in = 0  # the process id that set libvips up


def vips() -> ModuleType:
    """The pyvips module, ready for this process. RuntimeError in a fork of one that used it."""
    import pyvips

    if _ready_in != os.getpid():
        with _lock:
            _set_up(pyvips)
    module: ModuleType = pyvips
    return module


def call(operation: str, *arguments: Any, **options: Any) -> Any:
    """One libvips operation. Its options (numbers, truth values, names) go over as one string: set
    one by one, each of them costs five calls into C and as many passings of Python's lock."""
    text = ",".join(f"{name}={_as_option(value)}" for name, value in options.items())
    return vips().Operation.call(operation, *arguments, string_options=text)


def _as_option(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _set_up(pyvips: ModuleType) -> None:
    global _ready_in
    if _ready_in == os.getpid():
        return
    if _ready_in:
        raise RuntimeError("libvips was used before this process was forked")
    pyvips.concurrency_set(1)
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in _LOADERS:
        pyvips.operation_block_set(loader, False)
    _ready_in = os.getpid()

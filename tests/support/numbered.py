"""Pictures that show a number, so that a judge sees whether a product got its own.

The number is drawn in large black and white blocks, which outlive scaling and strong compression.
Any origin serves them once this module is imported::

    /numbered/7.jpg            the picture of number 7
    /numbered/7.jpg?wait=slow  the same after ``origin.waits["slow"]`` milliseconds
"""

from __future__ import annotations

import asyncio
import io
import re
from functools import lru_cache

from PIL import Image

from tests.support.origin import Asked, Origin, Reply, behaviour

COLUMNS, ROWS = 6, 5
NUMBER_BITS, CHECK_BITS = 24, 6  # one block each
SIZE = (240, 200)
_NUMBER = re.compile(r"/numbered/(\d+)\.jpg")


def url_of(origin: Origin, number: int, wait: str = "") -> str:
    return f"{origin.url}/numbered/{number}.jpg" + (f"?wait={wait}" if wait else "")


def number_in(url: str) -> int | None:
    """The number that the picture of this URL shows; None for any other URL."""
    found = _NUMBER.search(url)
    return int(found[1]) if found else None


@lru_cache(4096)
def jpeg(number: int) -> bytes:
    bits = f"{number:0{NUMBER_BITS}b}{_check(number):0{CHECK_BITS}b}"
    assert len(bits) == COLUMNS * ROWS, "a number of at most 24 bits"
    blocks = Image.new("L", (COLUMNS, ROWS))
    blocks.putdata([235 if bit == "1" else 20 for bit in bits])
    target = io.BytesIO()
    blocks.resize(SIZE, Image.Resampling.NEAREST).convert("RGB").save(target, "JPEG", quality=90)
    return target.getvalue()


def shown(data: bytes) -> int | None:
    """The number that an image file shows; None where its blocks are no number at all."""
    with Image.open(io.BytesIO(data)) as image:
        # Each block as 5 × 5 dots, of which the one in the middle is far from its neighbours.
        small = image.convert("L").resize((COLUMNS * 5, ROWS * 5), Image.Resampling.BOX)
    dots = [small.getpixel((5 * x + 2, 5 * y + 2)) for y in range(ROWS) for x in range(COLUMNS)]
    bits = "".join("1" if isinstance(dot, int) and dot > 127 else "0" for dot in dots)
    number, check = int(bits[:NUMBER_BITS], 2), int(bits[NUMBER_BITS:], 2)
    return number if check == _check(number) else None


def _check(number: int) -> int:
    """Differs where one bit does, and is never 0: an all-black picture is no number."""
    return number % 61 + 1


@behaviour("numbered")
async def _numbered(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    wait = origin.waits.get(asked.option("wait", ""), 0.0)
    await asyncio.sleep((origin.latency_ms + wait) / 1000)
    number = number_in(asked.path)
    assert number is not None
    writer.write(Reply(jpeg(number), "image/jpeg").encode())

"""GIF files (GIF89a): where their frames are, and the first one that shows anything.

Pillow decodes them: it takes the canvas as it is stated (libnsgif doubts some sizes), passes over
NULs and a missing trailer, as browsers do, and refuses a frame that ends early.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from PIL import Image

_TRAILER, _FRAME, _EXTENSION = 0x3B, 0x2C, 0x21
_BLOCK = re.compile(b"[;,!]")
# So many frames are looked at for the first that is not all transparent.
_FIRST_FRAMES = 5


def frames(data: bytes) -> list[int]:
    """Where each frame starts; a last entry of -1 says that the file ends before its trailer.
    What stands between two blocks (NULs) is skipped."""
    at = 13 + _colour_table(data, 10)
    found: list[int] = []
    while block := _BLOCK.search(data, at):
        at = block.start()
        if data[at] == _TRAILER:
            return found
        if data[at] == _FRAME:
            found.append(at)
            at += 11 + _colour_table(data, at + 9)
        else:
            at += 2
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
    return [*found, -1]


def _colour_table(data: bytes, at: int) -> int:
    """Bytes of the colour table that the flags at ``at`` announce."""
    flags = data[at] if at < len(data) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def first_shown(opened: Any, data: bytes) -> Any:
    """The first frame that shows anything, on its canvas, as a Pillow image: RGBA, or RGB where
    nothing is transparent. ``opened``: Pillow's file of ``data``. Broken data raises."""
    opened.seek(0)
    size = opened.size
    picture = _on_canvas(opened)
    following = [at for at in frames(data) if at >= 0][1:_FIRST_FRAMES]
    for number, at in enumerate(following, 1):
        if not _is_blank(picture) or not _fits(data, at, size):
            break
        opened.seek(number)
        picture = opened.convert("RGBA")
    return picture


def _on_canvas(opened: Any) -> Any:
    """The first frame. Around one that is smaller than the canvas nothing is drawn."""
    box = opened.tile[0].extents if opened.tile else (0, 0, *opened.size)
    whole = box == (0, 0, *opened.size)
    picture = opened.convert("RGBA" if "transparency" in opened.info or not whole else "RGB")
    if whole:
        return picture
    canvas = Image.new("RGBA", opened.size)
    canvas.paste(picture.crop(box), box)
    return canvas


def _is_blank(picture: Any) -> bool:
    return bool(picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (0, 0))


def _fits(data: bytes, at: int, size: tuple[int, int]) -> bool:
    """Is the frame inside the canvas? One that is not would enlarge it."""
    if at + 9 > len(data):
        return False
    left, top, width, height = struct.unpack_from("<4H", data, at + 1)
    return bool(left + width <= size[0] and top + height <= size[1])

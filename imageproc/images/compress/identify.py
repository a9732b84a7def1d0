"""Finds out what a file is and whether it may be opened, before a pixel is decoded.

The format is recognised by content, never by name or Content-Type. Only listed formats are opened,
and only within the budget: one small file can take minutes of work or gigabytes of memory.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from imageproc import faults
from imageproc.faults import Fault
from imageproc.images.compress import anatomy, heif, jpeg, png, still, tiff, webp
from imageproc.images.compress.numbers import Numbers

# The segments of a JPEG that may state its colours or which side is up.
_TELLING = {"APP1", "APP2", "APP14"}
# Their decoders fail if pixels are missing, so a missing end mark does no harm.
_JUDGED_BY_PIXELS = {"png", "gif"}


class RefusedError(Exception):
    """The file passed its header and was refused later; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Budget:
    """What opening one picture may cost. The worst file within the defaults took less than 10 s of
    CPU and 512 MB (docs/adr/0002-codec.md)."""

    max_pixels: int = 50_000_000
    max_side: int = 32_767
    max_frames: int = 2_000
    max_scans: int = 100
    # Progressive JPEG: scans x pixels. Each scan costs about 0.8 ns a pixel.
    max_scan_pixels: int = 2_500_000_000
    # What decoder and encoder must hold at once, by the estimates here and in ``effort``.
    max_held_bytes: int = 365_000_000
    max_profile_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A file that may be decoded. ``width`` and ``height`` are those of its header, not turned."""

    kind: str
    data: bytes
    width: int
    height: int
    held_bytes: int
    # The open file where its reader is not libvips: Pillow's (BMP, rare TIFF) or a Heif.
    opened: Any = None
    # The colours that the file states in numbers.
    numbers: Numbers | None = None
    # A colour JPEG without EXIF, colour profile or Adobe's marker: its pixels are upright sRGB.
    bare: bool = False
    # Channels at the end of a TIFF that are no transparency.
    saved_selections: int = 0
    # A JPEG that may have lost pixels: libjpeg-turbo must find it whole, whichever library decodes
    # it.
    doubtful: bool = False


def identify(data: bytes, budget: Budget) -> Source | Fault:
    """The file as a Source within ``budget``, or why it will not be opened."""
    if not data:
        return faults.EMPTY_BODY
    kind = anatomy.sniff(data)
    if kind is None:
        return faults.NOT_AN_IMAGE
    if kind == "refused":
        return faults.FORMAT_UNSUPPORTED.because(anatomy.refused_kind(data))
    if kind == "jpeg":
        return _identify_jpeg(data, budget)
    if kind == "tiff":
        return _identify_tiff(data, budget)
    return _identify_other(kind, data, budget)


def _identify_other(kind: str, data: bytes, budget: Budget) -> Source | Fault:
    if kind not in _JUDGED_BY_PIXELS and not anatomy.is_whole(kind, data):
        return faults.IMAGE_TRUNCATED.because(f"{kind} file ends early")
    if fault := _overpacked(kind, data, budget):
        return fault
    opened = _open(kind, data)
    if not isinstance(opened, Fault) and _has_hole(kind, data):
        return faults.IMAGE_CORRUPT.because("zeros among coded pixels")
    return opened if isinstance(opened, Fault) else _within(kind, data, opened, budget)


def _has_hole(kind: str, data: bytes) -> bool:
    if kind in ("heic", "avif"):
        return still.has_hole(data)
    return kind == "webp" and webp.has_hole(data)


def _identify_tiff(data: bytes, budget: Budget) -> Source | Fault:
    directory = _open("tiff", data)
    if isinstance(directory, Fault):
        return directory
    if directory.unread_kind:
        return faults.FORMAT_UNSUPPORTED.because(directory.unread_kind)
    source = _within("tiff", directory.data, directory, budget)
    if isinstance(source, Fault):
        return source
    if directory.has_hole:
        return faults.IMAGE_CORRUPT.because("zeros among packed pixels")
    if not directory.needs_pillow:
        return replace(source, saved_selections=directory.saved_selections)
    opened = _open("tiff", directory.data, by_pillow=True)
    if isinstance(opened, Fault):
        return opened
    # Pillow's size is the upright one, and so are its pixels.
    return replace(source, opened=opened, width=opened.width, height=opened.height)


def _identify_jpeg(data: bytes, budget: Budget) -> Source | Fault:
    """Whether a JPEG reaches its end is left to the decoder, which reads all of it."""
    header = jpeg.read_header(data)
    if header.unread_kind:
        return faults.FORMAT_UNSUPPORTED.because(header.unread_kind)
    runs = dict(jpeg.zero_runs(header))
    for at, flat in runs.items():
        if not flat:
            return _missing(header.data, at)
    opened = _open("jpeg", header.data)
    if isinstance(opened, Fault):
        return opened
    scans = jpeg.scan_count(header, budget.max_scans + 1)
    source = _within("jpeg", header.data, opened, budget, scans)
    doubtful = bool(runs) or header.data is not data
    return replace(source, doubtful=True) if isinstance(source, Source) and doubtful else source


def _missing(data: bytes, at: int) -> Fault:
    """The fault for zeros where pixels should be, from ``at`` on: to the end of the file, or a
    hole."""
    to_the_end = not data[at:].strip(b"\0\xff\xd9")
    fault = faults.IMAGE_TRUNCATED if to_the_end else faults.IMAGE_CORRUPT
    return fault.because(f"zeros from byte {at} on")


def _overpacked(kind: str, data: bytes, budget: Budget) -> Fault | None:
    """Limits that are checked before any library reads the header."""
    if kind == "png" and not anatomy.png_profile_fits(data, budget.max_profile_bytes):
        return faults.TOO_COMPLEX.because("colour profile unpacks beyond the limit")
    frames = anatomy.frame_count(kind, data)
    if frames > budget.max_frames:
        return faults.TOO_COMPLEX.because(f"{frames} frames")
    return None


def _open(kind: str, data: bytes, *, by_pillow: bool = False) -> Any:
    """The header, read by Pillow, pillow-heif or us. For hostile bytes they raise
    anything (struct.error, KeyError and OverflowError were seen), so every exception counts."""
    try:
        opened: Any = heif.opened(data, kind) if kind in ("avif", "heic") else None
        if opened is None and kind == "heic":
            return faults.FORMAT_UNSUPPORTED.because("a film without a still picture")
        if kind == "tiff" and not by_pillow:
            opened = tiff.read(data)
        if kind == "png":
            opened = png.read_header(data)
        # Pillow shows the first frame of an AVIF video without a still picture.
        opened = opened or Image.open(io.BytesIO(data), formats=[kind.upper()])
        return opened if min(opened.size) > 0 else faults.IMAGE_CORRUPT.because("no pixels")
    except Image.DecompressionBombError as error:
        return faults.TOO_MANY_PIXELS.because(str(error))
    except Exception as error:  # noqa: BLE001
        if kind == "bmp":
            return faults.FORMAT_UNSUPPORTED.because(f"BMP: {error}")
        broken = faults.IMAGE_CORRUPT if anatomy.is_whole(kind, data) else faults.IMAGE_TRUNCATED
        return broken.because(f"header: {type(error).__name__}: {error}")


def _within(kind: str, data: bytes, opened: Any, budget: Budget, scans: int = 0) -> Source | Fault:
    width, height = opened.size
    if width * height > budget.max_pixels or max(width, height) > budget.max_side:
        return faults.TOO_MANY_PIXELS.because(f"{width}x{height} pixels")
    if scans > budget.max_scans or scans * width * height > budget.max_scan_pixels:
        return faults.TOO_COMPLEX.because(f"{scans} scans of {width}x{height} pixels, or more")
    held = int(width * height * _held_per_pixel(kind, data, opened, scans)) + 2 * len(data)
    if held > budget.max_held_bytes:
        return faults.TOO_COMPLEX.because(f"needs {held} bytes to open")
    # libvips has no reader for these, doubts canvases (GIF), or must know more (AVIF).
    itself = opened if kind in ("bmp", "gif", "avif", "heic") else None
    bare = kind == "jpeg" and opened.mode == "RGB" and not opened.app.keys() & _TELLING
    numbers = png.stated_colours(data) if kind == "png" else getattr(opened, "numbers", None)
    return Source(kind, data, width, height, held, itself, numbers, bare)


def _held_per_pixel(kind: str, data: bytes, opened: Any, scans: int) -> float:
    """Bytes a pixel that the decoder must hold at once (measured); 0 where it streams rows."""
    if kind == "jpeg":
        # More than one scan: libjpeg keeps all coefficients, 16 bits each.
        return 2.0 * _samples_per_pixel(opened.layer) if scans > 1 else 0.0
    if kind == "png":
        depth, colour, interlaced = data[24], data[25], data[28]
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 4)
        streamed = 4.5 if depth == 16 else 0.0
        return 1.5 * channels * depth / 8 if interlaced else streamed
    if kind == "tiff":
        return _tiff_held_per_pixel(opened)
    held = {"webp": 8.5, "gif": 10.0, "avif": 15.5, "heic": 6.0, "bmp": 7.5}[kind]
    return held * opened.decoded_share if isinstance(opened, heif.Heif) else held


def _samples_per_pixel(layers: list[tuple[int, int, int, int]]) -> float:
    """Of a JPEG's components, each (id, horizontal and vertical sampling factor, table): 1.5 where
    colours are halved both ways, 3 where they are not."""
    widest, highest = max(layer[1] for layer in layers), max(layer[2] for layer in layers)
    return sum(across * down for _, across, down, _ in layers) / (widest * highest)


def _tiff_held_per_pixel(picture: tiff.Tiff) -> float:
    """A strip or a row of tiles is held at once, and a file may declare itself a single strip."""
    if picture.needs_pillow:
        return 9.0
    width, height = picture.size
    sample = picture.number(277, 1) * picture.number(tiff.BITS, 1) / 8
    if 322 not in picture.tag_v2:
        return sample * min(picture.number(278, height), height) / height
    tile_width, tile_height = picture.number(322, width), picture.number(323, height)
    return sample * -(-width // tile_width) * tile_width * tile_height / (width * height)

"""The structure of a JPEG file (ITU-T T.81, annex B), read without decoding a pixel.

It answers three questions: do the decoders read this kind, how much work would decoding take, and
is a part of the pixel data missing? JPEG has no checksum; a decoder paints whatever the bits say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

_END = b"\xff\xd9"  # the end-of-image marker
_EOI, _SOS, _DHT = 0xD9, 0xDA, 0xC4
_ALONE = {0x01, _EOI, *range(0xD0, 0xD9)}  # markers without a length
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {_DHT, 0xC8, 0xCC}  # SOF0 to SOF15, and JPEG-LS
_HUFFMAN_SEQUENTIAL = {0xC0, 0xC1}
_SEQUENTIAL = _HUFFMAN_SEQUENTIAL | {0xC9}
_PROGRESSIVE = 0xC2
_HUFFMAN = _HUFFMAN_SEQUENTIAL | {_PROGRESSIVE}
_READ = _SEQUENTIAL | {_PROGRESSIVE, 0xCA}  # those that libjpeg-turbo decodes at 8 bits
_SCAN_START = re.compile(rb"\xff\xda")
# Ends entropy-coded data: 0xFF, but not a stuffed zero, a restart marker or fill.
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_WHOLE_BAND = b"\x00\x3f\x00"  # spectral selection 0 to 63, no approximation
# So many zero bytes in a row are no accident of entropy coding: 512 bits.
_ZEROS = bytes(64)


def segments(data: bytes, *, headers: bool = False) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of every segment up to the end of the image.

    A scan's segment runs to the end of its entropy-coded data. Bytes between two segments are
    skipped, as libjpeg does. What follows the end of the image (padding, previews, gain maps) is
    not looked at. Stops early where the file does. ``headers``: only up to the first scan, without
    that one's data.
    """
    at = 2
    while found := _MARKER.search(data, at):
        start = found.start()
        marker = data[start + 1]
        end = start + 2
        if marker not in _ALONE:
            end += int.from_bytes(data[end : end + 2], "big")
        if marker == _SOS and not headers:
            scan_end = _SCAN_END.search(data, end)
            end = scan_end.start() if scan_end else len(data)
        yield marker, start, end
        if marker == _EOI or (marker == _SOS and headers):
            return
        at = max(end, start + 2)


def is_whole(data: bytes) -> bool:
    """Whether the image reaches its end marker."""
    return any(marker == _EOI for marker, _, _ in segments(data))


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the pixel data. ``data``: the file, tidied. ``process``: the frame's
    marker, SOF0 to SOF15, or 0. ``bits``: of a sample. ``scan``: where the pixel data begins, or
    -1. ``one_scan``: there is no second that libjpeg would read."""

    data: bytes
    process: int
    bits: int
    scan: int
    one_scan: bool

    @property
    def unread_kind(self) -> str:
        """The name of a coding process that our decoders don't read, or ""."""
        if self.process and self.process not in _READ:
            return "lossless or hierarchical JPEG"
        return "" if self.bits == 8 else f"{self.bits}-bit JPEG"


def read_header(data: bytes) -> Header:
    """The header of ``data``, and ``data`` without the flaws that cost no pixel.

    Decoders that refuse missing pixels refuse these as well: bytes between two segments (dropped),
    scan parameters other than 0, 63, 0 in a sequential picture, where they mean nothing (Samsung's
    cameras write such), and a missing end marker (put back).
    """
    parts = list(segments(data, headers=True))
    tidy = _tidied(data, parts)
    if tidy is not data:
        data, parts = tidy, list(segments(tidy, headers=True))
    frame = next((start for marker, start, _ in parts if marker in _FRAMES), len(data))
    process, bits, components = 0, 8, -1
    if frame + 10 <= len(data):
        process, bits, components = data[frame + 1], data[frame + 4], data[frame + 9]
    marker, start, end = parts[-1] if parts else (0, 0, 0)
    if marker != _SOS or end > len(data):
        return Header(data, process, bits, -1, one_scan=False)
    # libjpeg accepts no second scan then (jdinput.c, JERR_EOI_EXPECTED). So are most photographs.
    one_scan = process in _HUFFMAN_SEQUENTIAL and data[start + 4] == components
    return Header(data, process, bits, end, one_scan)


def _tidied(data: bytes, parts: list[tuple[int, int, int]]) -> bytes:
    """A copy without the flaws, or ``data`` itself where it has none."""
    pieces: list[bytes] = []
    done, expected, sequential = 0, 2, False
    for marker, start, end in parts:
        if start != expected:
            pieces.append(data[done:expected])
            done = start
        sequential = sequential or marker in _SEQUENTIAL
        if marker == _SOS and sequential and data[end - 3 : end] != _WHOLE_BAND:
            pieces += [data[done : end - 3], _WHOLE_BAND]
            done = end
        expected = end
    if data.rfind(_END, expected) < 0 and _is_complete(data):
        return b"".join([*pieces, data[done:], _END])
    return b"".join([*pieces, data[done:]]) if pieces else data


def _is_complete(data: bytes) -> bool:
    """Whether every coefficient of a progressive picture is there to its last bit (T.81 G.1.1).

    A file without its end marker may have lost whole scans. True for other files: their decoder
    notices what is missing.
    """
    bits_missing: dict[tuple[int, int], int] = {}
    for marker, start, end in segments(data):
        if marker in _FRAMES and marker != _PROGRESSIVE:
            return True
        if marker == _PROGRESSIVE:
            names = data[start + 10 : end : 3]
            bits_missing = {(name, each): 1 for name in names for each in range(64)}
        if marker == _SOS and len(bits_missing) < 1024:
            count = int.from_bytes(data[start + 4 : start + 5])
            names = data[start + 5 : start + 5 + 2 * count : 2]
            parameters = data[start + 5 + 2 * count : start + 8 + 2 * count]
            if len(parameters) < 3:
                return False  # the file ends within the scan's header
            first, last, shift = parameters
            band = range(first, min(last, 63) + 1)
            bits_missing |= {(name, each): shift & 15 for name in names for each in band}
    return not any(bits_missing.values())


def zero_runs(header: Header) -> Iterator[tuple[int, bool]]:
    """(position, flat) of the first long run of zero bytes in each scan that has one.

    It shows that a copy into reserved space broke off, or that a block was never written. ``flat``:
    in this scan zero bits stand for blocks without detail, so a plain backdrop may have been
    written so; only a decoder that counts the blocks can tell.
    """
    data = header.data
    if header.scan < 0 or data.find(_ZEROS, header.scan) < 0:
        return
    shortest: dict[int, int] = {}  # Huffman table -> the symbol whose code is all zeros
    for marker, start, end in segments(data):
        if marker == _DHT:
            shortest |= _first_symbols(data[start + 4 : end])
        if marker == _SOS and (at := data.find(_ZEROS, start, end)) >= 0:
            yield at, _zeros_are_flat(data[start : start + 20], header.process, shortest)


def _first_symbols(tables: bytes) -> dict[int, int]:
    """Class and number of each Huffman table of a DHT segment -> its first symbol (T.81 B.2.4.2).
    The first code is the shortest, and all zeros."""
    found: dict[int, int] = {}
    at = 0
    while at + 17 < len(tables):
        found[tables[at]] = tables[at + 17]
        at += 17 + sum(tables[at + 1 : at + 17])
    return found


def _zeros_are_flat(scan: bytes, process: int, shortest: dict[int, int]) -> bool:
    components = min(scan[4], 4)
    first_coefficient = scan[5 + 2 * components]
    if process not in _HUFFMAN:
        return False  # arithmetic coding: at most 11 zeros in a row in a white picture of 24 MP
    if process == _PROGRESSIVE and first_coefficient == 0:
        return True  # brightness alone
    tables = {0x10 | each & 15 for each in scan[6 : 5 + 2 * components : 2]}
    # End of block, or of a run of blocks: a low half of 0, but for 0xF0 (sixteen zeros and on).
    return all(shortest.get(table, 1) in range(0, 0xF0, 16) for table in tables)


def scan_count(header: Header, at_most: int) -> int:
    """An upper bound of the scans, each of which walks over the whole picture again; counted no
    further than ``at_most``.

    Inside entropy-coded data a 0xFF is always stuffed, so only a segment's payload (a thumbnail,
    say) can be counted by mistake. 0.4 ms for 1 MB, where ``bytes.count`` takes 1.0.
    """
    if header.one_scan:
        return 1
    return sum(1 for _ in islice(_SCAN_START.finditer(header.data), at_most))

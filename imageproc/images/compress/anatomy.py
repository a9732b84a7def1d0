"""The outer structure of image files, read without decoding a pixel.

Every function here takes the whole file as bytes and runs in time linear in its size, so a hostile
file cannot make it slow. It answers two questions: is the file whole (a decoder would often paint
the missing part of a cut-off picture grey), and how much work would opening it take?
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from imageproc.images.compress import gif, jpeg, still, tiff, webp

# The magic numbers of what we read; ISO base media files (HEIC, AVIF) are recognised by their
# brands.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"BM", "bmp"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
# Pictures, or near enough, that we name instead of calling them "not an image".
_REFUSED = {
    b"%PDF": "PDF", b"8BPS": "Photoshop", b"%!PS": "PostScript", b"\xc5\xd0\xd3\xc6": "PostScript",
    b"\0\0\1\0": "ICO", b"\0\0\2\0": "CUR or TGA", b"\0\0\x0a\0": "TGA",
    b"\xff\x0a": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000", b"II\xbc\1": "JPEG XR",
    **{b"P%d%c" % (each, end): "PNM" for each in range(1, 8) for end in b"\n "},
    b"DDS ": "DDS", b"qoif": "QOI", b"v/1\x01": "OpenEXR", b"#?RADIANCE": "Radiance HDR",
    b"II+\0": "BigTIFF", b"MM\0+": "BigTIFF", b"icns": "ICNS", b"FORM": "IFF",
    b"AT&TFORM": "DjVu", b"gimp xcf": "GIMP", b"\1\xda": "SGI", b"BPG\xfb": "BPG",
    **{b"\x0a%c\1" % version: "PCX" for version in (0, 2, 3, 4, 5)},
    b"\xd7\xcd\xc6\x9a": "WMF", b"\1\0\0\0": "EMF", b"\x1a\x45\xdf\xa3": "WebM",
    b"IIU\0": "camera raw file", b"IIRO": "camera raw file", b"IIRS": "camera raw file",
    b"MMOR": "camera raw file", b"FUJIFILMCCD-RAW": "camera raw file", b"FOVb": "camera raw file",
    b"\0MRM": "camera raw file", b"II\x1a\0\0\0HEAPCCDR": "camera raw file",
}  # fmt: skip
_TGA_FOOTER = b"TRUEVISION-XFILE.\0"


def sniff(data: bytes) -> str | None:
    """The format by content: one that we read, "refused" for other pictures, None for anything
    else."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return _brand(data)
    return "refused" if refused_kind(data) else None


def refused_kind(data: bytes) -> str:
    """The name of a kind of picture that we don't read, or ""."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<?xml", b"<svg", b"<!--", b"<!doctype svg")) and b"<svg" in head:
        return "SVG"
    for magic, name in _REFUSED.items():
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return "film, or " + data[8:12].decode("ascii", "replace")
    return "TGA" if data.endswith(_TGA_FOOTER) else ""


def _brand(data: bytes) -> str:
    """Major brand and compatible brands decide (ISO 23008-12; AV1 Image File Format 1.1)."""
    size = min(max(int.from_bytes(data[:4], "big"), 16), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, size, 4))}
    if brands & {b"avif", b"avis"}:
        return "avif"
    return "heic" if brands & _HEIF_BRANDS else "refused"


def is_whole(kind: str, data: bytes) -> bool:
    """Whether the file reaches its own end. True if the format's outer structure does not say."""
    check = _WHOLE.get(kind)
    return check is None or check(data)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start of the chunk, end of the chunk) of every chunk that is there whole."""
    at = 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            return
        yield name, at, end
        if name == b"IEND":
            return
        at = end


def _png_whole(data: bytes) -> bool:
    return any(name == b"IEND" for name, _, _ in png_chunks(data))


def _webp_whole(data: bytes) -> bool:
    return int.from_bytes(data[4:8], "little") + 8 <= len(data)


def _gif_whole(data: bytes) -> bool:
    return -1 not in gif.frames(data)


def _bmp_whole(data: bytes) -> bool:
    """Only a run-length coded bitmap is checked, by the size that it states: Pillow would fill up
    the rest. The size in the file header (bfSize) is often wrong and not used."""
    if len(data) < 54:
        return False
    start, header, compression, size = struct.unpack_from("<II12xII", data, 10)
    run_length_coded = header >= 40 and compression in (1, 2)
    return not run_length_coded or start + size <= len(data)


_WHOLE = {
    "jpeg": jpeg.is_whole, "png": _png_whole, "gif": _gif_whole, "webp": _webp_whole,
    "tiff": tiff.is_whole, "avif": still.is_whole, "heic": still.is_whole, "bmp": _bmp_whole,
}  # fmt: skip


def frame_count(kind: str, data: bytes) -> int:
    """Frames of an animation; 1 for everything else."""
    if kind == "gif":
        return sum(at >= 0 for at in gif.frames(data)) or 1
    if kind == "webp":
        return sum(name == b"ANMF" for name, _, _ in webp.chunks(data)) or 1
    return 1


def png_profile_fits(data: bytes, limit: int) -> bool:
    """Whether the compressed colour profile unpacks to at most ``limit`` bytes."""
    for name, start, end in png_chunks(data):
        if name == b"iCCP":
            packed = data[start + 8 : end - 4].partition(b"\0")[2][1:]
            unpacker = zlib.decompressobj()
            try:
                unpacker.decompress(packed, limit)
            except zlib.error:
                return True
            return not unpacker.unconsumed_tail
        if name == b"IDAT":
            break
    return True

"""From a Source to a lazy vips image, by the library that reads its kind best."""

from __future__ import annotations

import os
import re
from typing import Any

from imageproc import faults
from imageproc.images.compress import anatomy, gif, heif, webp
from imageproc.images.compress.engine import call, vips
from imageproc.images.compress.identify import RefusedError, Source

_LOADERS = {
    "jpeg": "jpegload_source",
    "png": "pngload_source",
    "webp": "webpload_source",
    "tiff": "tiffload_source",
}
PROFILE = "icc-profile-data"
ORIENTATION = "orientation"
XMP = "xmp-data"
# libvips' name for the colours of a JPEG -> simplejpeg's, for those that it decodes alike.
_TURBO_COLOURS = {"srgb": "RGB", "b-w": "GRAY"}
# libjpeg's warnings (jerror.h) that pixels are missing or wrong. All others are harmless.
_DAMAGE = re.compile(
    "Corrupt JPEG data(?!: bad ICC)|Premature end of JPEG|Inconsistent progression"
)
# So are the few stray bytes that some cameras leave before the end.
_STRAY_BYTES = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
_MAX_STRAY_BYTES = 64
# So many frames of an animation are looked at for the first that is not all transparent.
_FIRST_FRAMES = 5
# Pixels of a JPEG, shrunk, that are decoded at once: 12 MB. Larger ones are read row by row.
_AT_ONCE = 4_000_000


def load(source: Source, shrink: int = 1) -> Any:
    """``fail_on`` warning: a decoder that had to guess (a cut-off or broken scan painted grey) has
    failed. Its error text is not used: libvips keeps one for all threads."""
    if isinstance(source.opened, heif.Heif):
        return _load_heif(source.opened)
    if source.opened is not None:
        return _load_by_pillow(source)
    options: dict[str, Any] = {"access": "sequential", "fail_on": "warning"}
    if shrink > 1:
        options["shrink"] = shrink
    # Reads the bytes where they are, and ``source`` keeps them; a buffer would be copied each time.
    data = vips().Source.new_from_memory(source.data)
    if source.kind == "webp":
        _refuse_lost_data(source.data)
        options["page"] = _first_shown(source.data)
    loaded = call(_LOADERS[source.kind], data, **options)
    if shrink == 1 and (loaded.width, loaded.height) != (source.width, source.height):
        raise RefusedError(faults.IMAGE_CORRUPT.because("two readers disagree about its size"))
    if loaded.format not in ("uchar", "ushort"):
        raise RefusedError(faults.FORMAT_UNSUPPORTED.because(f"{loaded.format} samples"))
    if 0 < source.saved_selections < loaded.bands:
        return loaded.extract_band(0, n=loaded.bands - source.saved_selections)
    return loaded


def _refuse_lost_data(data: bytes) -> None:
    shortened = webp.shortened(data)
    if shortened is None:
        return
    try:
        call("webpload_source", vips().Source.new_from_memory(shortened), fail_on="warning").avg()
    except vips().Error:
        return
    raise RefusedError(faults.IMAGE_CORRUPT.because("pixel data is left over"))


def _first_shown(data: bytes) -> int:
    """The number of the first frame of an animation that shows anything, among the first few."""
    frames = min(anatomy.frame_count("webp", data), _FIRST_FRAMES)
    for number in range(frames if frames > 1 else 0):
        frame = call("webpload_source", vips().Source.new_from_memory(data), page=number)
        if not frame.hasalpha() or frame.extract_band(frame.bands - 1).max() > 0:
            return number
    return 0


def load_shrunk(source: Source, header: Any, shrink: int) -> Any:
    """The pixels of a JPEG at 1/``shrink``; ``header`` is the image as loaded before, or None of a
    bare one, where libvips need not look (0.3 ms).

    libjpeg-turbo decodes a colour picture at once in three quarters of the time that libvips takes
    to stream it, to the same pixels (docs/adr/0002-codec.md). What it does not read is left to
    libvips.
    """
    width, height = -(-source.width // shrink), -(-source.height // shrink)
    colours = _TURBO_COLOURS.get("srgb" if header is None else header.interpretation)
    if colours and width * height <= _AT_ONCE:
        pixels = _by_turbo(source.data, colours, width, height)
        if pixels is not None:
            image = _from_bytes(pixels, width, height, pixels.shape[2])
            if shrink > 1:
                # Without the last column and row where these stand for a part of one, like libvips.
                image = image.crop(0, 0, source.width // shrink, source.height // shrink)
            return image if header is None else _with_metadata(image, header)
    elif source.doubtful:
        # For its verdict, at the cost of an eighth's pixels: libvips does not look at what is left
        # over when the picture is full, nor at warnings in its last rows.
        _by_turbo(source.data, "RGB", 1, 1)
    header = load(source) if header is None else header
    return header if shrink == 1 else load(source, shrink)


def _by_turbo(data: bytes, colours: str, width: int, height: int) -> Any:
    """Rows of the picture, scaled by the smallest factor that is not below this size; None where
    the decoder does not read it.

    Raises RefusedError where it warns of pixel data that is missing, wrong or left over when the
    picture is full: something before was lost or overwritten.
    """
    # numpy, which comes with it, would start threads for matrices that nobody multiplies here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import simplejpeg

    try:
        rows = simplejpeg.decode_jpeg(data, colours, min_width=width, min_height=height)
    except ValueError as error:
        warning = str(error)
        stray = _STRAY_BYTES.match(warning)
        if _DAMAGE.match(warning) and not (stray and int(stray[1]) <= _MAX_STRAY_BYTES):
            raise RefusedError(faults.IMAGE_CORRUPT.because(warning)) from error
        return None
    return rows if rows.shape[:2] == (height, width) else None


def _load_by_pillow(source: Source) -> Any:
    """Pillow decodes; the pixels are handed over in one copy. Its exceptions for hostile bytes are
    not a closed set."""
    try:
        opened = source.opened
        if source.kind == "gif":
            opened = gif.first_shown(opened, source.data)
        mode = "RGBA" if opened.mode in ("RGBA", "LA") else "RGB"
        pixels = opened.convert(mode).tobytes()
    except Exception as error:
        broken = faults.IMAGE_TRUNCATED if "truncated" in str(error) else faults.IMAGE_CORRUPT
        raise RefusedError(broken.because(f"{type(error).__name__}: {error}")) from error
    return _from_bytes(pixels, source.width, source.height, len(mode))


def _load_heif(picture: heif.Heif) -> Any:
    try:
        image, profile = heif.load(picture)
    except vips().Error:
        raise
    except Exception as error:
        raise RefusedError(
            faults.IMAGE_CORRUPT.because(f"{type(error).__name__}: {error}")
        ) from error
    if profile:
        image = with_field(image, vips().GValue.blob_type, PROFILE, profile)
    return image


def _from_bytes(pixels: Any, width: int, height: int, bands: int) -> Any:
    """libvips takes one band for grey and three for sRGB by itself."""
    image = vips().Image.new_from_memory(pixels, width, height, bands, "uchar")
    return image if bands in (1, 3) else image.copy(interpretation="srgb")


def _with_metadata(image: Any, header: Any) -> Any:
    """What of it decides about pixels: the colour profile, and which side is up."""
    for name in (PROFILE, ORIENTATION):
        if kind := header.get_typeof(name):
            image = with_field(image, kind, name, header.get(name))
    return image


def with_field(image: Any, kind: int, name: str, value: Any) -> Any:
    own = image.copy()
    own.set_type(kind, name, value)
    return own


def orientation_of(image: Any) -> int:
    """By EXIF, 1 to 8 (CIPA DC-008, tag 0x0112); 1, which is upright, where it is not said."""
    return int(image.get(ORIENTATION)) if image.get_typeof(ORIENTATION) else 1


def profile_of(image: Any) -> bytes:
    """The embedded colour profile, b"" where there is none."""
    return bytes(image.get(PROFILE)) if image.get_typeof(PROFILE) else b""

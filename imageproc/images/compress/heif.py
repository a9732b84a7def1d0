"""HEIC and AVIF files: their primary picture, cropped and upright.

libvips reads AVIF, pillow-heif HEIC; both crop and turn by the picture's own properties (clap,
irot, imir). An EXIF orientation beside them is only information (ISO/IEC 23008-12, annex A.4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imageproc.images.compress.engine import call, vips
from imageproc.images.compress.numbers import Numbers
from imageproc.images.compress.still import Still, read_still

# pillow-heif's modes -> channels. I is grey of 16 bits; "a": colours are multiplied by alpha.
_BANDS = {"L": 1, "I": 1, "LA": 2, "La": 2, "RGB": 3, "RGBA": 4, "RGBa": 4}


@dataclass(frozen=True, slots=True)
class Heif:
    """A file whose boxes have been read. ``heic``: pillow-heif's picture; None of an AVIF."""

    data: bytes
    still: Still
    heic: Any

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as shown."""
        size: tuple[int, int] = self.still.size if self.heic is None else self.heic.size
        return size

    @property
    def numbers(self) -> Numbers | None:
        return self.still.numbers

    @property
    def decoded_share(self) -> float:
        """Pixels decoded for each one shown: more than 1 where the picture is cropped."""
        return max(1.0, self.still.coded_pixels / (self.size[0] * self.size[1]))


def opened(data: bytes, kind: str) -> Heif | None:
    """None where the file holds no still picture, only a film. Broken boxes raise, as pillow-heif
    does: no set of exceptions is promised."""
    still = read_still(data)
    if still is None:
        return None
    if kind == "avif":
        return Heif(data, still, None)
    import pillow_heif

    # In 8 bits, PQ and HLG would show steps.
    deep = still.numbers is not None and still.numbers.is_hdr
    return Heif(data, still, pillow_heif.open_heif(data, convert_hdr_to_8bit=not deep))


def load(picture: Heif) -> tuple[Any, bytes]:
    """The lazy vips image and its ICC profile (b"" where the image itself carries it, or there is
    none). Broken bytes raise whatever the decoders raise."""
    profile = b""
    if picture.heic is None:
        source = vips().Source.new_from_memory(picture.data)
        image = call("heifload_source", source, access="sequential", fail_on="warning")
        premultiplied = picture.still.premultiplied
        if (image.width, image.height) != picture.size:
            raise ValueError("two readers disagree about its size")
    else:
        image = _heic_pixels(picture.heic)
        premultiplied = picture.heic.mode.partition(";")[0].endswith("a")
        profile = picture.heic.info.get("icc_profile") or b""
    if premultiplied and image.hasalpha():
        image = image.unpremultiply().cast(image.format)
    if picture.numbers is not None and picture.numbers.limited_grey:
        image = _stretched(image)
    return image, profile


def _heic_pixels(heic: Any) -> Any:
    """pillow-heif pads rows. KeyError for channels that it has no name for today."""
    mode, _, depth = heic.mode.partition(";")
    bands, sample = _BANDS[mode], 2 if depth == "16" else 1
    pixels, columns = heic.data, heic.stride // (bands * sample)
    width, height = heic.size
    kind = "ushort" if depth == "16" else "uchar"
    image = vips().Image.new_from_memory(pixels, columns, height, bands, kind)
    names = ("b-w", "srgb") if sample == 1 else ("grey16", "rgb16")
    return image.crop(0, 0, width, height).copy(interpretation=names[bands >= 3])


def _stretched(image: Any) -> Any:
    """Grey of 16 to 235 (ITU-T H.273, 8.3), which decoders pass on as it is, becomes 0 to 255."""
    black = 16 << 8 if image.format == "ushort" else 16
    alphas = int(image.hasalpha())
    greys = image.bands - alphas
    scales = [255 / 219] * greys + [1] * alphas
    offsets = [-black * 255 / 219] * greys + [0] * alphas
    return image.linear(scales, offsets).rint().cast(image.format)

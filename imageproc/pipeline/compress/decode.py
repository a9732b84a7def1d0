"""From a Source to a small, upright, 8-bit sRGB picture.

The order of work is the order of cost: shrink while loading, resize, and only then turn, convert
colours and flatten, on the few pixels that are left. libvips runs it row by row, so a 50-megapixel
baseline JPEG never stands in memory whole.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import ImageCms

from imageproc import faults
from imageproc.pipeline.compress.engine import vips
from imageproc.pipeline.compress.identify import RefusedError, Source
from imageproc.pipeline.recipe import Recipe

_LOADERS = {
    "jpeg": "jpegload_source",
    "png": "pngload_source",
    "webp": "webpload_source",
    "gif": "gifload_source",
    "tiff": "tiffload_source",
    "avif": "heifload_source",
}
# EXIF orientations that exchange width and height (CIPA DC-008, tag 0x0112).
_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class Picture:
    """``image``: a lazy vips image, upright, sRGB, 8 bits, 3 or 4 bands. ``width``, ``height``: of
    the source, upright. ``as_is``: its pixels are the source's own, with nothing applied."""

    image: Any
    width: int
    height: int
    as_is: bool


def decode(source: Source, recipe: Recipe) -> Picture:
    """The picture of ``source``, fitted to ``recipe``. Raises RefusedError, or libvips' own
    error when the pixels are asked for."""
    loaded = _load(source)
    turn = loaded.get("orientation") if loaded.get_typeof("orientation") else 1
    sideways = turn in _SIDEWAYS
    upright = (loaded.height, loaded.width) if sideways else (loaded.width, loaded.height)
    target = recipe.fit(*upright)
    shrink = _shrink(source, upright, target)
    pixels = loaded if shrink == 1 else _load(source, shrink)
    image = _resize(pixels, target[::-1] if sideways else target)
    if turn > 1:
        # Turning reads in another order than the decoder writes.
        image = image.copy_memory().autorot()
    plain = _is_plain(loaded) and turn <= 1
    image = _to_srgb(image)
    if image.hasalpha() and recipe.format == "jpeg":
        image, plain = image.flatten(background=recipe.background_rgb), False
    return Picture(image, *upright, as_is=plain and target == upright)


def _shrink(source: Source, size: tuple[int, int], target: tuple[int, int]) -> int:
    """How much the JPEG decoder may shrink by itself (its inverse DCT at 1/2, 1/4, 1/8 costs less
    the smaller it gets), leaving the rest, a factor of 1 to 2, to a Lanczos kernel."""
    if source.kind != "jpeg":
        return 1
    factor = min(size[0] / target[0], size[1] / target[1])
    return next((shrink for shrink in (8, 4, 2) if factor >= shrink), 1)


def _load(source: Source, shrink: int = 1) -> Any:
    """``fail_on`` warning: a decoder that had to guess (a cut-off or broken scan painted grey) has
    failed. Its error text is not used: libvips keeps one for all threads."""
    if source.opened is not None:
        return _load_heic(source) if source.kind == "heic" else _load_by_pillow(source)
    options: dict[str, Any] = {"access": "sequential", "fail_on": "warning"}
    if shrink > 1:
        options["shrink"] = shrink
    # Reads the bytes where they are, and ``source`` keeps them; a buffer would be copied each time.
    data = vips().Source.new_from_memory(source.data)
    loaded = getattr(vips().Image, _LOADERS[source.kind])(data, **options)
    if shrink == 1 and (loaded.width, loaded.height) != (source.width, source.height):
        raise RefusedError(faults.IMAGE_CORRUPT.because("two readers disagree about its size"))
    if loaded.format not in ("uchar", "ushort"):
        raise RefusedError(faults.FORMAT_UNSUPPORTED.because(f"{loaded.format} samples"))
    return loaded


def _load_by_pillow(source: Source) -> Any:
    """Pillow decodes; the pixels are handed over in one copy. Its exceptions for hostile bytes are
    not a closed set."""
    try:
        opened = source.opened
        mode = "RGBA" if opened.mode in ("RGBA", "LA") else "RGB"
        pixels = opened.convert(mode).tobytes()
    except Exception as error:
        broken = faults.IMAGE_TRUNCATED if "truncated" in str(error) else faults.IMAGE_CORRUPT
        raise RefusedError(broken.because(f"{type(error).__name__}: {error}")) from error
    return _from_bytes(pixels, source.width, source.height, len(mode))


def _load_heic(source: Source) -> Any:
    """pillow-heif decodes, already upright (the container's irot and imir); rows may be padded."""
    try:
        heif = source.opened
        pixels, bands, stride = heif.data, len(heif.mode), heif.stride
        profile = heif.info.get("icc_profile")
    except Exception as error:
        raise RefusedError(
            faults.IMAGE_CORRUPT.because(f"{type(error).__name__}: {error}")
        ) from error
    if bands not in (1, 3, 4) or ";" in heif.mode:
        raise RefusedError(faults.FORMAT_UNSUPPORTED.because(f"mode {heif.mode}"))
    image = _from_bytes(pixels, stride // bands, source.height, bands)
    image = image.crop(0, 0, source.width, source.height)
    if profile:
        blob = vips().GValue.blob_type
        image = image.mutate(lambda each: each.set_type(blob, "icc-profile-data", profile))
    return image


def _from_bytes(pixels: Any, width: int, height: int, bands: int) -> Any:
    image = vips().Image.new_from_memory(pixels, width, height, bands, "uchar")
    return image.copy(interpretation="b-w" if bands == 1 else "srgb")


def _resize(image: Any, target: tuple[int, int]) -> Any:
    """Lanczos3; with transparency, on premultiplied colours so that no hidden colour bleeds in."""
    horizontal, vertical = target[0] / image.width, target[1] / image.height
    if horizontal == 1 and vertical == 1:
        return image
    if not image.hasalpha():
        return image.resize(horizontal, vscale=vertical, kernel="lanczos3")
    small = image.premultiply().resize(horizontal, vscale=vertical, kernel="lanczos3")
    return small.unpremultiply().cast(image.format)


def _is_plain(image: Any) -> bool:
    """Three or four 8-bit channels that mean sRGB."""
    colours = image.interpretation == "srgb" and image.format == "uchar"
    return colours and (not _profile(image) or _says_srgb(_profile(image)))


def _profile(image: Any) -> bytes:
    has = image.get_typeof("icc-profile-data")
    return bytes(image.get("icc-profile-data")) if has else b""


def _says_srgb(profile: bytes) -> bool:
    """Does the profile call itself sRGB (in ASCII, version 2, or UTF-16, version 4)?"""
    try:
        name = ImageCms.getProfileName(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return False
    return name.lstrip().startswith("sRGB")


def _to_srgb(image: Any) -> Any:
    """8-bit sRGB. An embedded profile decides; a broken one, or one for other channels, is passed
    over. CMYK without a profile gets libvips' built-in one."""
    profile = _profile(image)
    if profile and not (image.interpretation == "srgb" and _says_srgb(profile)):
        fallback = "cmyk" if image.interpretation == "cmyk" else "srgb"
        image = _through_profile(image, fallback)
    elif image.interpretation == "cmyk":
        image = image.icc_transform("srgb", input_profile="cmyk", intent="perceptual")
    if image.interpretation != "srgb" or image.format != "uchar":
        image = image.colourspace("srgb")
    return image if image.format == "uchar" else image.cast("uchar")


def _through_profile(image: Any, fallback: str) -> Any:
    try:
        return image.icc_transform(
            "srgb", embedded=True, input_profile=fallback, intent="perceptual"
        )
    except vips().Error:
        return image

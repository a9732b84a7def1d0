"""Any colours that a file may have, as 8-bit sRGB.

A profile decides, or numbers that the file states (see ``numbers``); where there are neither,
samples mean sRGB. A profile that is broken, empty or made for another kind of samples is ignored.
"""

from __future__ import annotations

from typing import Any

from imageproc.images.compress import profiles, tone
from imageproc.images.compress.engine import vips
from imageproc.images.compress.load import PROFILE, profile_of, with_field
from imageproc.images.compress.numbers import Numbers


def is_plain(image: Any, numbers: Numbers | None) -> bool:
    """Three or four 8-bit channels that mean sRGB."""
    colours = image.interpretation == "srgb" and image.format == "uchar"
    return colours and _meaning(image, numbers) is None


def to_srgb(image: Any, numbers: Numbers | None) -> Any:
    """8-bit sRGB, with alpha where ``image`` has it. CMYK without a profile gets libvips' own."""
    meaning = _meaning(image, numbers)
    if isinstance(meaning, bytes):
        image = _through_profile(image, meaning)
    elif meaning is not None:
        image = _by_numbers(image, meaning)
    elif image.interpretation == "cmyk":
        image = image.icc_transform("srgb", input_profile="cmyk", intent="perceptual")
    if image.interpretation != "srgb" or image.format != "uchar":
        image = image.colourspace("srgb")
    return image if image.format == "uchar" else image.cast("uchar")


def _meaning(image: Any, numbers: Numbers | None) -> bytes | Numbers | None:
    """The profile or numbers that say how the samples look. None: they are sRGB (or plain ink)."""
    if numbers is not None and numbers.outrank_profile:
        return None if numbers.is_srgb else numbers
    profile = profile_of(image)
    if profiles.fits(profile, image.interpretation):
        if image.interpretation == "srgb" and profiles.is_srgb(profile):
            return None
        return profiles.hdr_numbers(profile) or profile
    return None if numbers is None or numbers.is_srgb else numbers


def _by_numbers(image: Any, numbers: Numbers) -> Any:
    if image.interpretation in ("b-w", "grey16"):
        image = image.colourspace("srgb" if image.format == "uchar" else "rgb16")
    if numbers.is_hdr:
        return tone.to_srgb(image, numbers)
    return _through_profile(image, profiles.made_of(numbers))


def _through_profile(image: Any, profile: bytes) -> Any:
    """The image as it is if the profile turns out to be broken."""
    image = with_field(image, vips().GValue.blob_type, PROFILE, profile)
    fallback = "cmyk" if image.interpretation == "cmyk" else "srgb"
    try:
        return image.icc_transform(
            "srgb", embedded=True, input_profile=fallback, intent="perceptual"
        )
    except vips().Error:
        return image

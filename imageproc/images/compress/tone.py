"""HDR pictures (PQ and HLG, ITU-R BT.2100) on a screen of standard range.

Light up to a fifth of paper white stays as it is; what is brighter is compressed more and
more, so that the peak of BT.2100's reference display becomes white. The knee was found by comparing
published HDR pictures with their authors' own SDR versions (docs/adr/0002-codec.md).
"""

from __future__ import annotations

import math
from array import array
from functools import lru_cache
from typing import Any

from imageproc.images.compress.engine import vips
from imageproc.images.compress.numbers import Curve, Numbers
from imageproc.images.compress.profiles import to_bt709

# Candela per square metre of paper white in HDR pictures (ITU-R BT.2408, table 1).
_PAPER = 203.0
# The reference display: its peak, and the gamma that HLG has there (ITU-R BT.2100, table 5).
_PEAK = 1000.0
_HLG_GAMMA = 1.2
_KNEE = 0.2
# Luminance of BT.2020's primaries.
_LUMINANCE = [[0.2627, 0.6780, 0.0593]]


def to_srgb(image: Any, numbers: Numbers) -> Any:
    """8-bit sRGB of an RGB image of 8 or 16 bits, with or without alpha, in PQ or HLG."""
    deep = image.format == "ushort"
    colours = image.extract_band(0, n=3)
    light = colours.maplut(_table(numbers.curve, 65_536 if deep else 256))
    if numbers.curve == "hlg":
        luminance = light.recomb(_matrix(_LUMINANCE))
        light = light * luminance ** (_HLG_GAMMA - 1) * (_PEAK / _PAPER)
    light = light * _gain(light)
    light = light.recomb(_matrix(to_bt709(numbers.chromaticities)))
    shown = light.copy(interpretation="scrgb").colourspace("srgb")
    if image.bands == 3:
        return shown
    alpha = image.extract_band(3)
    return shown.bandjoin((alpha >> 8 if deep else alpha).cast("uchar"))


def _gain(light: Any) -> Any:
    """The factor for each pixel, by its brightest component, so that its hue stays. Up to the knee
    it is 1; from there a hyperbola of slope 1 that brings the peak to paper white."""
    brightest = light.extract_band(0).maxpair(light.extract_band(1))
    brightest = brightest.maxpair(light.extract_band(2))
    over = (brightest - _KNEE).maxpair(brightest * 0)
    room, reach = 1 - _KNEE, _PEAK / _PAPER - _KNEE
    bend = 1 / room - 1 / reach
    pressed = over / (over * bend + 1)
    return (brightest - over + pressed) / (brightest + 1e-9)


def _matrix(rows: Any) -> Any:
    return vips().Image.new_from_array([list(row) for row in rows])


def _table(curve: Curve, entries: int) -> Any:
    values = _values(curve, entries)
    return vips().Image.new_from_memory(values, entries, 1, 1, "float")


@lru_cache(maxsize=4)
def _values(curve: Curve, entries: int) -> bytes:
    """Light of each sample: of PQ in units of paper white, of HLG as the scene's, 0 to 1."""
    light = _pq_light if curve == "pq" else _hlg_light
    return array("f", (light(step / (entries - 1)) for step in range(entries))).tobytes()


def _pq_light(signal: float) -> float:
    """ITU-R BT.2100, table 4: the EOTF."""
    root = math.pow(signal, 1 / 78.84375)
    share = max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return 10_000 / _PAPER * math.pow(share, 1 / 0.1593017578125)


def _hlg_light(signal: float) -> float:
    """ITU-R BT.2100, table 5: the inverse of the OETF."""
    if signal <= 0.5:
        return signal * signal / 3
    return (math.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12

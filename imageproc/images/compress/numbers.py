"""Colour that a file states in numbers instead of an ICC profile.

AVIF and HEIC do so in an nclx box, PNG in a cICP chunk: code points of ITU-T H.273. Older PNG files
have gAMA and cHRM: an exponent and chromaticities.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

# The linear light of a sample: 1 raised to an exponent, or a curve by name.
Curve = float | Literal["srgb", "pq", "hlg"]
# x and y of red, green, blue and white (CIE 1931).
Chromaticities = tuple[float, float, float, float, float, float, float, float]

_D65 = (0.3127, 0.3290)
_C = (0.310, 0.316)
BT709: Chromaticities = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *_D65)
BT2020: Chromaticities = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65)
DISPLAY_P3: Chromaticities = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65)
_SMPTE_C: Chromaticities = (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65)
# ITU-T H.273, table 2. 2 is "unspecified", and whatever is missing here is read as that: BT.709.
_PRIMARIES: dict[int, Chromaticities] = {
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *_C),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: _SMPTE_C,
    7: _SMPTE_C,
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *_C),
    9: BT2020,
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: DISPLAY_P3,
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *_D65),
}
# ITU-T H.273, table 3. The curves of cameras (BT.709, BT.601, BT.2020: 1, 6, 7, 11, 12, 14, 15) are
# shown with that of sRGB, as browsers do: a screen's curve is no inverse of a camera's.
_CURVES: dict[int, Curve] = {4: 2.2, 5: 2.8, 8: 1.0, 16: "pq", 17: 2.6, 18: "hlg"}
_SAME_CHROMATICITY = 0.002


@dataclass(frozen=True, slots=True)
class Numbers:
    """``chromaticities`` and ``curve`` of the samples. ``limited_grey``: grey from 16 to 235 (of
    255), which decoders pass on as it is. ``outrank_profile``: the numbers count even beside an
    ICC profile."""

    chromaticities: Chromaticities = BT709
    curve: Curve = "srgb"
    limited_grey: bool = False
    outrank_profile: bool = False

    @property
    def is_hdr(self) -> bool:
        return self.curve in ("pq", "hlg")

    @property
    def is_srgb(self) -> bool:
        """Do the samples mean sRGB already?"""
        pairs = zip(self.chromaticities, BT709, strict=True)
        near = all(abs(own - other) <= _SAME_CHROMATICITY for own, other in pairs)
        return near and self.curve == "srgb"


def coded(primaries: int, transfer: int) -> Numbers:
    """The Numbers of two code points of ITU-T H.273. An ICC profile cannot say what PQ and HLG
    mean, so these count even where there is one."""
    numbers = Numbers(_PRIMARIES.get(primaries, BT709), _CURVES.get(transfer, "srgb"))
    return replace(numbers, outrank_profile=numbers.is_hdr)

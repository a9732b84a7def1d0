"""The colours that an AV1 stream states in its sequence header (AV1 specification, 5.5).

An AVIF without an nclx box means these (AV1 Image File Format, 2.1), and only this says that a
picture is monochrome.
"""

from __future__ import annotations

from dataclasses import dataclass

_SEQUENCE_HEADER = 1
_UNSPECIFIED = 2


@dataclass(frozen=True, slots=True)
class ColourConfig:
    """Code points of ITU-T H.273, and whether samples use the full range."""

    monochrome: bool
    primaries: int
    transfer: int
    full_range: bool


def colour_config(units: bytes) -> ColourConfig | None:
    """Of the first sequence header among these open bitstream units, or None."""
    at = 0
    while at < len(units):
        header = units[at]
        at += 2 if header & 4 else 1
        size = len(units) - at
        if header & 2:
            size, at = _leb128(units, at)
        if header >> 3 & 15 == _SEQUENCE_HEADER:
            return _sequence(_Bits(units[at : at + size]))
        at += size
    return None


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends)"""
    value = 0
    for shift in range(8):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift * 7
        if byte < 128:
            break
    return value, at


class _Bits:
    """Reads bits, the highest first; zeros after the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:64].ljust(64, b"\0"), "big")
        self._left = 512

    def take(self, count: int) -> int:
        self._left = max(0, self._left - count)
        return self._value >> self._left & (1 << count) - 1

    def flag(self) -> bool:
        return bool(self.take(1))


def _sequence(bits: _Bits) -> ColourConfig:
    profile = bits.take(3)
    bits.flag()  # still_picture
    reduced = bits.flag()
    if reduced:
        bits.take(5)
    else:
        _skip_operating_points(bits)
    wide, high = bits.take(4) + 1, bits.take(4) + 1
    bits.take(wide)
    bits.take(high)
    _skip_tools(bits, reduced=reduced)
    return _colours(bits, profile)


def _skip_operating_points(bits: _Bits) -> None:
    decoder_model, delay_bits = False, 0
    if bits.flag():  # timing_info_present_flag
        bits.take(64)
        if bits.flag():
            _skip_uvlc(bits)
        decoder_model = bits.flag()
        if decoder_model:
            delay_bits = bits.take(5) + 1
            bits.take(42)
    display_delay = bits.flag()
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.flag()
        if decoder_model and bits.flag():
            bits.take(2 * delay_bits + 1)
        if display_delay and bits.flag():
            bits.take(4)


def _skip_uvlc(bits: _Bits) -> None:
    zeros = 0
    while zeros < 32 and not bits.flag():
        zeros += 1
    bits.take(zeros)


def _skip_tools(bits: _Bits, *, reduced: bool) -> None:
    """Everything between the frame's size and its colours."""
    if not reduced and bits.flag():  # frame_id_numbers_present_flag
        bits.take(7)
    bits.take(3)
    if not reduced:
        bits.take(4)
        order_hint = bits.flag()
        if order_hint:
            bits.take(2)
        screen_content = 2 if bits.flag() else bits.take(1)
        if screen_content and not bits.flag():
            bits.take(1)
        if order_hint:
            bits.take(3)
    bits.take(3)


def _colours(bits: _Bits, profile: int) -> ColourConfig:
    high_depth = bits.flag()
    if profile == 2 and high_depth:
        bits.flag()
    monochrome = profile != 1 and bits.flag()
    primaries = transfer = matrix = _UNSPECIFIED
    if bits.flag():
        primaries, transfer, matrix = bits.take(8), bits.take(8), bits.take(8)
    is_rgb = (primaries, transfer, matrix) == (1, 13, 0) and not monochrome
    return ColourConfig(monochrome, primaries, transfer, is_rgb or bits.flag())

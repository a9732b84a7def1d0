"""A cell of a workbook as text: what a spreadsheet shows, by its number format (ECMA-376, 18.8.31).

Two things differ. Digits are never left out: an EAN in the format *General* is ``4006381333931``,
where a spreadsheet shows ``4.00638E+12``. A date in the format "short date", which looks different
on each computer, is ``2026-03-31``.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import NamedTuple

# Format 14, as openpyxl names it.
_SHORT_DATE = "mm-dd-yy"
_TOKEN = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]|General|AM/PM|A/P|[Ee][+\-]0+|[ymdhs]+|.', re.I)
_CURRENCY = re.compile(r"\[\$([^\-\]]*)")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def shown(value: object, number_format: str) -> str:
    """The text of a cell's value."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return _number(value, number_format)
    if isinstance(value, datetime | date | time):
        return _moment(value, number_format)
    return _duration(value) if isinstance(value, timedelta) else str(value)


def _plain(value: float) -> str:
    return format(Decimal(format(value, ".15g")), "f")


class _Section(NamedTuple):
    """A number format for numbers of one sign, taken apart. ``before``, ``after``: literal text.
    ``places``: the placeholders of the whole part with the literals between them."""

    before: str
    places: list[str]
    decimals: str
    exponent: bool
    percent: int
    thousands: bool
    after: str


@lru_cache(maxsize=4096)
def _number(value: float, number_format: str) -> str:
    sections = _split(number_format)
    index = 1 if value < 0 and len(sections) > 1 else 2 if value == 0 and len(sections) > 2 else 0
    section = _section(sections[index])
    if section is None or value != value or abs(value) == float("inf"):
        return _plain(value)
    amount = Decimal(format(value, ".15g")) * 100**section.percent
    sign = "-" if amount < 0 and index == 0 else ""
    if section.exponent:
        return f"{section.before}{amount:.{len(section.decimals)}E}{section.after}"
    step = Decimal(1).scaleb(-len(section.decimals))
    whole, _, part = f"{abs(amount).quantize(step, ROUND_HALF_UP):f}".partition(".")
    needed = len(section.decimals.rstrip("#?"))
    part = part[:needed] + part[needed:].rstrip("0")
    if not whole.strip("0") and not part.strip("0"):
        sign = ""
    digits = _placed(whole, section.places, thousands=section.thousands)
    point = f".{part}" if part else ""
    return f"{sign}{section.before}{digits}{point}{section.after}"


@lru_cache(maxsize=256)
def _split(number_format: str) -> list[str]:
    sections = [""]
    for piece in _TOKEN.findall(number_format):
        if piece == ";":
            sections.append("")
        else:
            sections[-1] += piece
    return sections


@lru_cache(maxsize=256)
def _section(text: str) -> _Section | None:
    """None for what shows the plain number: General, text, fractions, conditions."""
    pieces = _TOKEN.findall(text)
    if not any(piece in "0#?" for piece in pieces) or "/" in pieces or "[<" in text or "[>" in text:
        return None
    first = next(n for n, piece in enumerate(pieces) if piece in "0#?")
    last = max(n for n, piece in enumerate(pieces) if piece in "0#?,." or _is_exponent(piece))
    core = pieces[first : last + 1]
    point = core.index(".") if "." in core else len(core)
    whole, rest = core[:point], core[point + 1 :]
    if whole[-1] == ",":  # shown in thousands
        return None
    return _Section(
        _literal(pieces[:first]),
        [piece if piece in "0#?" else _literal([piece]) for piece in whole if piece != ","],
        "".join(piece for piece in rest if piece in "0#?"),
        any(map(_is_exponent, core)),
        pieces.count("%"),
        "," in whole,
        _literal(pieces[last + 1 :]),
    )


def _is_exponent(piece: str) -> bool:
    return piece[:1] in "Ee" and piece[1:2] in "+-" and len(piece) > 2


def _literal(pieces: list[str]) -> str:
    text = ""
    for piece in pieces:
        if piece[0] in '"\\':
            text += piece[1:].rstrip('"') if piece[0] == '"' else piece[1:]
        elif piece[0] == "[":
            currency = _CURRENCY.match(piece)
            text += currency[1] if currency else ""
        elif piece[0] == "_":
            text += " "
        elif piece[0] != "*":
            text += piece
    return text


def _placed(whole: str, places: list[str], *, thousands: bool) -> str:
    """The digits in their places, filled from the right: ``000-000`` makes 1234 ``001-234``."""
    zeros = places.count("0")
    digits = whole.lstrip("0").rjust(zeros, "0")
    if thousands:
        return f"{int(digits):,}".rjust(zeros, "0") if digits else ""
    if all(place in "0#?" for place in places):
        return digits
    left = list(digits)
    text = ""
    for place in reversed(places):
        if place not in ("0", "#", "?"):
            text = place + text
        elif left:
            text = left.pop() + text
    return "".join(left) + text


@lru_cache(maxsize=4096)
def _moment(value: date | time, number_format: str) -> str:
    if number_format == _SHORT_DATE:
        has_time = isinstance(value, datetime) and value.time() != time()
        return value.isoformat(" ", "seconds") if has_time else value.isoformat()[:10]  # type: ignore[call-arg]
    pieces = _TOKEN.findall(_split(number_format)[0])
    half_day = any(piece.upper() in ("AM/PM", "A/P") for piece in pieces)
    letters = [piece.lower() if piece[0].lower() in "ymdhs" else "" for piece in pieces]
    text = ""
    for n, piece in enumerate(pieces):
        if not letters[n]:
            text += _half(value) if "/P" in piece.upper() and half_day else _literal([piece])
            continue
        others = [one[0] for one in letters[:n] if one], [one[0] for one in letters[n + 1 :] if one]
        minutes = piece[0] in "mM" and ("h" in others[0][-1:] or "s" in others[1][:1])
        text += _part(value, "n" * len(piece) if minutes else piece.lower(), half_day)
    return text


def _half(value: date | time) -> str:
    return "PM" if getattr(value, "hour", 0) >= 12 else "AM"


def _part(value: date | time, piece: str, half_day: bool) -> str:
    """``piece``: letters of one kind; ``n`` are minutes."""
    kind, width = piece[0], len(piece)
    hour = getattr(value, "hour", 0)
    if kind in "ymd" and isinstance(value, date):
        names = _MONTHS[value.month - 1] if kind == "m" else _DAYS[value.weekday()]
        if kind == "y":
            return f"{value.year:04}" if width > 2 else f"{value.year % 100:02}"
        if width > 2:
            return names[:3] if width == 3 else names[:1] if width == 5 else names
        return f"{value.month if kind == 'm' else value.day:0{width}}"
    number = {
        "h": (hour % 12 or 12) if half_day else hour,
        "n": getattr(value, "minute", 0),
        "s": getattr(value, "second", 0),
    }.get(kind, 0)
    return f"{number:0{min(width, 2)}}"


def _duration(value: timedelta) -> str:
    seconds = round(value.total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"

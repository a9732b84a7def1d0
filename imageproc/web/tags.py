"""Template filters that write numbers and states for people."""

from __future__ import annotations

from typing import Any

from django import template

from imageproc.images.recipe import Recipe
from imageproc.models import ProcessingRequest, RequestStatus

register = template.Library()

_UNITS = ("kB", "MB", "GB", "TB")
_SPACE = "\N{NO-BREAK SPACE}"


@register.filter
def cell(cells: list[str], place: int) -> str:
    """The cell at a place of a column."""
    return cells[place]


@register.filter
def count(value: int) -> str:
    """12345 → 12,345."""
    return f"{value:,}"


@register.filter
def size(value: int | None) -> str:
    """Bytes in the units of SI, three digits: 21826 → 21.8 kB."""
    amount = float(value or 0)
    if amount < 1000:
        return f"{amount:.0f}{_SPACE}bytes"
    for unit in _UNITS:
        amount /= 1000
        if amount < 999.5 or unit == _UNITS[-1]:
            return f"{amount:.{0 if amount >= 99.95 else 1}f}{_SPACE}{unit}"
    raise AssertionError


@register.filter
def duration(seconds: float | None) -> str:
    """An approximate time: 75 → 1 min 15 s, 7300 → 2 h 1 min."""
    left = max(0, round(seconds or 0))
    hours, minutes, rest = left // 3600, left % 3600 // 60, left % 60
    if hours:
        return f"{hours}{_SPACE}h {minutes}{_SPACE}min"
    if minutes:
        return f"{minutes}{_SPACE}min {rest}{_SPACE}s" if minutes < 10 else f"{minutes}{_SPACE}min"
    return f"{rest}{_SPACE}s"


@register.filter
def rate(value: float | None) -> str:
    """Images per second, or per minute when slow."""
    if not value:
        return ""
    if value < 1:
        return f"{value * 60:.0f} a minute"
    return f"{value:.0f} a second" if value >= 10 else f"{value:.1f} a second"


@register.filter
def saved(value: Any) -> str:
    """The share of bytes that a request or image (``value``) saves: "87 %", or ""."""
    if not value.bytes_in or value.bytes_out >= value.bytes_in:
        return ""
    return f"{100 * (1 - value.bytes_out / value.bytes_in):.0f}{_SPACE}%"


@register.filter
def state(request: ProcessingRequest) -> str:
    """The status in everyday words."""
    if request.status == RequestStatus.COMPLETED and request.failed_images:
        return "Done, with failures"
    return {
        RequestStatus.PENDING: "Waiting",
        RequestStatus.PROCESSING: "Running",
        RequestStatus.COMPLETED: "Done",
        RequestStatus.FAILED: "Failed",
        RequestStatus.CANCELLED: "Cancelled",
    }[RequestStatus(request.status)]


@register.filter
def tone(request: ProcessingRequest) -> str:
    """The CSS class of a request's badge."""
    if request.status == RequestStatus.COMPLETED and request.failed_images:
        return "partial"
    return request.status.lower()


@register.filter
def share(part: int, whole: int) -> str:
    """Percent with a dot in every locale, as SVG attributes need it."""
    return f"{100 * part / whole:.3f}" if whole else "0"


@register.filter
def percent(request: ProcessingRequest) -> int:
    """Whole percent, rounded down, so that 100 means all."""
    return request.tried_images * 100 // max(1, request.total_images)


@register.filter
def tenth(request: ProcessingRequest) -> int:
    """Percent in steps of ten, so that a screen reader announces it only ten times."""
    return percent(request) // 10 * 10


@register.filter
def elapsed(request: ProcessingRequest) -> str:
    """The time that an ended request took, or ""."""
    took = request.duration(request.completed_at) if request.completed_at else None
    return "" if took is None else duration(max(1.0, took.total_seconds()))


@register.filter
def smaller(ratio: float) -> str:
    """0.125 → 88 % smaller."""
    return f"{100 * (1 - ratio):.0f}{_SPACE}% smaller" if ratio < 1 else "not smaller"


@register.filter
def recipe(options: dict[str, Any]) -> str:
    """A recipe in one line: "fit in 800 × 800, JPEG, quality 30"."""
    sides = [str(options.get(name) or "any") for name in ("max_width", "max_height")]
    box = f"{sides[0]} × {sides[1]}"
    fit = {
        "inside": "original size" if sides == ["any", "any"] else f"fit in {box}",
        "pad": f"{box} on {options.get('background')}",
        "cover": f"cut to {box}",
    }[options.get("fit", "inside")]
    trimmed = ", plain border removed" if options.get("trim") else ""
    margin = f", {options['margin']:g}{_SPACE}% margin" if options.get("margin") else ""
    kind = str(options.get("format", "jpeg"))
    kind = kind.upper() if kind != "webp" else "WebP"
    quality = "" if kind == "PNG" else f", quality {options.get('quality', '')}"
    return f"{fit}{trimmed}{margin}, {kind}{quality}"


@register.filter
def size_in_words(recipe: Recipe) -> str:
    """How large a recipe makes pictures, for a preset's card: "2000 × 2000 on white"."""
    if recipe.max_width is None:
        return "Original size"
    box = f"{recipe.max_width}{_SPACE}×{_SPACE}{recipe.max_height}"
    return f"{box} on white" if recipe.pads_with_white else f"Within {box}"

"""What to make of a picture: the recipe of one rendition, and the formats we write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

OutputFormat = Literal["jpeg", "webp", "avif", "png"]
Fit = Literal["inside", "pad", "cover"]
Crop = Literal["centre", "attention"]


@dataclass(frozen=True, slots=True)
class FileType:
    """How a format goes out: MIME type, file extension, and the longest side it can hold."""

    content_type: str
    extension: str
    max_side: int


FILE_TYPES: dict[OutputFormat, FileType] = {
    "jpeg": FileType("image/jpeg", "jpg", 65_500),
    "webp": FileType("image/webp", "webp", 16_383),
    "avif": FileType("image/avif", "avif", 16_384),
    "png": FileType("image/png", "png", 65_500),
}
FITS: tuple[Fit, ...] = get_args(Fit)
CROPS: tuple[Crop, ...] = get_args(Crop)
# The longest side that a recipe may ask for: every format can hold it.
MAX_SIDE = min(kind.max_side for kind in FILE_TYPES.values())
# The most pixels of a picture of exact size, however small its source: 5000 x 5000, the most that a
# shop platform takes (Shopify).
MAX_EXACT_PIXELS = 25_000_000
MAX_TRIM = 100
# The least that may be asked of ``max_bytes``.
MIN_BYTES = 5_000
MAX_MARGIN = 45


class RecipeError(ValueError):
    """A recipe that cannot be followed. ``field``: the attribute of Recipe to blame."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}")
        self.field, self.sentence = field, sentence


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one rendition looks like, and how it is written.

    ``max_width`` and ``max_height`` are a box in pixels (None: the original's size), and ``fit``
    says how a picture gets into it. ``inside`` keeps its shape and never enlarges it. ``pad`` makes
    exactly that size: the whole picture, as large as fits, on ``background``. ``cover`` makes
    exactly that size of a part of the picture: its centre, or where the eye is drawn (``crop``).

    ``trim`` removes a plain border first; it may vary by that many levels of 255 (0: no border is
    removed). ``margin`` is the percentage of the box that ``pad`` leaves free at each side.
    ``sharpen``: lightly, where a picture becomes much smaller. ``keep_copyright``: copyright and
    creator stay in the file; the label of pictures made by AI always does. ``max_bytes``: of the
    file; the quality is lowered for it, then the size.

    ``quality`` is 1-100 on libvips' scale of the format (PNG is lossless and ignores it).
    ``background``, "#rrggbb", also shows through transparency where the format has none.

    Raises RecipeError for values out of range and for those that contradict each other.
    """

    max_width: int | None = 800
    max_height: int | None = 800
    quality: int = 30
    format: OutputFormat = "jpeg"
    background: str = "#ffffff"
    preset: str = "catalog"
    fit: Fit = "inside"
    crop: Crop = "centre"
    trim: int = 0
    margin: float = 0.0
    sharpen: bool = False
    keep_copyright: bool = False
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        for field, holds, sentence in (*self._ranges(), *self._agreement()):
            if not holds:
                raise RecipeError(field, sentence)

    def _ranges(self) -> Iterator[tuple[str, bool, str]]:
        """(field, whether its value is one of those allowed, what to use instead)."""
        yield "format", self.format in FILE_TYPES, f"Use one of {', '.join(FILE_TYPES)}."
        yield "quality", 1 <= self.quality <= 100, "Use 1 to 100."
        for name in ("max_width", "max_height"):
            side = getattr(self, name)
            yield name, side is None or side >= 1, "Use 1 or more pixels."
        colour = re.fullmatch(r"#[0-9a-fA-F]{6}", self.background)
        yield "background", colour is not None, "Use #rrggbb."
        yield "fit", self.fit in FITS, f"Use one of {', '.join(FITS)}."
        yield "crop", self.crop in CROPS, f"Use one of {', '.join(CROPS)}."
        yield "trim", 0 <= self.trim <= MAX_TRIM, f"Use 0 to {MAX_TRIM}."
        enough = self.max_bytes is None or self.max_bytes >= MIN_BYTES
        yield "max_bytes", enough, f"Use {MIN_BYTES:,} bytes or more."
        yield "margin", 0 <= self.margin <= MAX_MARGIN, f"Use 0 to {MAX_MARGIN} percent."

    def _agreement(self) -> Iterator[tuple[str, bool, str]]:
        """The same for values that depend on each other."""
        if self.is_exact:
            for name in ("max_width", "max_height"):
                both = getattr(self, name) is not None
                yield name, both, f"The fit {self.fit} needs a width and a height."
            pixels = (self.max_width or 0) * (self.max_height or 0)
            limit = f"The fit {self.fit} makes pictures of up to {MAX_EXACT_PIXELS:,} pixels."
            yield "max_width", pixels <= MAX_EXACT_PIXELS, limit
        yield "margin", not self.margin or self.fit == "pad", "Only the fit pad has a margin."
        crops = self.crop == "centre" or self.fit == "cover"
        yield "crop", crops, "Only the fit cover has a crop."

    @property
    def background_rgb(self) -> list[int]:
        """Red, green and blue of ``background``, 0-255."""
        return list(bytes.fromhex(self.background[1:]))

    @property
    def file_type(self) -> FileType:
        return FILE_TYPES[self.format]

    @property
    def is_exact(self) -> bool:
        """Whether every result has the size of the box."""
        return self.fit != "inside"

    @property
    def pads_with_white(self) -> bool:
        return self.fit == "pad" and self.background_rgb == [255, 255, 255]

    @property
    def box(self) -> tuple[int, int]:
        """Width and height that no result exceeds."""
        limit = self.file_type.max_side
        return min(self.max_width or limit, limit), min(self.max_height or limit, limit)

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """The size that an upright picture, or the part of it that is shown, gets in the result;
        of the fit pad, without what is around it."""
        box_width, box_height = self.box
        if self.fit == "cover":
            return box_width, box_height
        if self.fit == "pad":
            free = 1 - 2 * self.margin / 100
            box_width, box_height = round(box_width * free), round(box_height * free)
        scale = min(box_width / width, box_height / height)
        if not self.is_exact:
            scale = min(scale, 1.0)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def to_dict(self) -> dict[str, Any]:
        """For a request's row. What came after version 0.2 is left out at its default, so that
        pictures made before are found by the same digest (``sources.recipe_digest``)."""
        values = {each.name: (getattr(self, each.name), each.default) for each in fields(self)}
        return {
            name: value
            for name, (value, default) in values.items()
            if name in _ALWAYS_STATED or value != default
        }

    def changed(self, **own: Any) -> Recipe:
        """With values of its own in place of the preset's. What the preset says of its own fit
        goes with it."""
        fit = own.get("fit", self.fit)
        lost: dict[str, Any] = {}
        if fit != "pad":
            lost["margin"] = 0.0
        if fit != "cover":
            lost["crop"] = "centre"
        return replace(self, **(lost | own))


_ALWAYS_STATED = {"max_width", "max_height", "quality", "format", "background", "preset"}

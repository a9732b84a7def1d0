"""What to make of a picture: the recipe, the presets and the formats we write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OutputFormat = Literal["jpeg", "webp", "avif", "png"]


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
# The longest side that a recipe may ask for: every format can hold it.
MAX_SIDE = min(kind.max_side for kind in FILE_TYPES.values())


@dataclass(frozen=True, slots=True)
class Recipe:
    """The box to fit in (pixels; None = the original's size), and how to write the result.

    A picture is never enlarged. ``quality`` is 1-100 on libvips' scale of the format (PNG is
    lossless and ignores it). ``background``, "#rrggbb", shows through transparency where the
    format has none.
    """

    max_width: int | None = 800
    max_height: int | None = 800
    quality: int = 30
    format: OutputFormat = "jpeg"
    background: str = "#ffffff"
    preset: str = "catalog"

    def __post_init__(self) -> None:
        if self.format not in FILE_TYPES:
            raise ValueError(f"format must be one of {', '.join(FILE_TYPES)}")
        if not 1 <= self.quality <= 100:
            raise ValueError("quality must be 1 to 100")
        if any(side is not None and side < 1 for side in (self.max_width, self.max_height)):
            raise ValueError("max_width and max_height must be 1 or more")
        if len(self.background_rgb) != 3:
            raise ValueError("background must be #rrggbb")

    @property
    def background_rgb(self) -> list[int]:
        """Red, green and blue of ``background``, 0-255; ValueError for anything but #rrggbb."""
        if not self.background.startswith("#"):
            raise ValueError("background must be #rrggbb")
        return list(bytes.fromhex(self.background[1:]))

    @property
    def file_type(self) -> FileType:
        return FILE_TYPES[self.format]

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """The size of the result for an upright picture of this size: same shape, never larger."""
        limit = self.file_type.max_side
        box_width = min(self.max_width or limit, limit)
        box_height = min(self.max_height or limit, limit)
        scale = min(box_width / width, box_height / height, 1.0)
        return max(1, round(width * scale)), max(1, round(height * scale))


PRESETS: dict[str, Recipe] = {
    "catalog": Recipe(),
    "half": Recipe(max_width=None, max_height=None, quality=50, preset="half"),
}

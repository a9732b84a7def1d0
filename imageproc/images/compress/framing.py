"""Which part of a picture is shown: without its plain border, or as much as fills a box.

Parts are found on a small copy, so that a picture of any size is decoded twice but never held
whole. Reading the copy also finds damage in rows that the part leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

from imageproc.images.compress.colour import to_srgb
from imageproc.images.compress.identify import Source
from imageproc.images.compress.load import load, load_shrunk
from imageproc.images.recipe import Recipe

Size = tuple[int, int]
# The longer side of the small copy: a border is found to a pixel in 500 or more.
_SMALL_SIDE = 1000
# libvips looks for a border through a median of 3 x 3, so that single specks don't count.
_MEDIAN = 3


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of an upright picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    def as_stored(self, turn: int, size: Size) -> Part:
        """The same rectangle before an upright picture of ``size`` was turned as EXIF's orientation
        ``turn`` says (CIPA DC-008, tag 0x0112)."""
        left, top = self.left, self.top
        if turn in (2, 3, 6, 7):
            left = size[0] - left - self.width
        if turn in (3, 4, 7, 8):
            top = size[1] - top - self.height
        if turn >= 5:
            return Part(top, left, self.height, self.width)
        return Part(left, top, self.width, self.height)

    def scaled(self, across: float, down: float, size: Size) -> Part:
        """The smallest rectangle that holds this one in the same picture of ``size``, which is
        so many times as wide and as high."""
        left = min(floor(self.left * across), size[0] - 1)
        top = min(floor(self.top * down), size[1] - 1)
        right = min(ceil((self.left + self.width) * across), size[0])
        bottom = min(ceil((self.top + self.height) * down), size[1])
        return Part(left, top, max(1, right - left), max(1, bottom - top))


def shown_part(source: Source, recipe: Recipe, size: Size) -> tuple[Part, int]:
    """The part of the upright picture, which has ``size``, that ``recipe`` shows; and how many
    pixels were looked at to find it."""
    part = Part(0, 0, *size)
    if not recipe.trim and (recipe.fit != "cover" or _filling(part, recipe) == part):
        return part, 0
    small = _small_copy(source)
    if recipe.trim:
        part = _without_border(small, recipe.trim, size)
    if recipe.fit == "cover":
        centre = _filling(part, recipe)
        part = centre if recipe.crop == "centre" else _attractive(small, part, centre, size)
    return part, small.width * small.height


def _small_copy(source: Source) -> Any:
    """The upright picture in 8-bit sRGB, in memory, neither side above ``_SMALL_SIDE``."""
    header: Any = None if source.bare else load(source)
    image = header
    if source.kind == "jpeg":
        factor = max(source.width, source.height) / _SMALL_SIDE
        image = load_shrunk(source, header, next((n for n in (8, 4, 2) if factor >= n), 1))
    factor = ceil(max(image.width, image.height) / _SMALL_SIDE)
    if factor > 1:
        image = image.shrink(min(factor, image.width), min(factor, image.height))
    return to_srgb(image.copy_memory().autorot(), source.numbers).copy_memory()


def _without_border(small: Any, tolerance: int, size: Size) -> Part:
    """The part within the plain border, which may be transparent. All of a picture that has none,
    and of one that is nothing but border."""
    # Transparency counts like a colour, and a transparent pixel's own colour does not count.
    pixels = small.premultiply().cast("uchar") if small.hasalpha() else small
    pixels = pixels.copy(interpretation="multiband")
    left, top, width, height = pixels.find_trim(
        threshold=tolerance,
        background=_border_colour(pixels, tolerance),
        line_art=min(pixels.width, pixels.height) < _MEDIAN,
    )
    if not width or not height:
        return Part(0, 0, *size)
    across, down = size[0] / small.width, size[1] / small.height
    return Part(left, top, width, height).scaled(across, down, size)


def _border_colour(pixels: Any, tolerance: int) -> list[float]:
    """Of the corner that most others agree with: a product may reach into one of them."""
    width, height = min(_MEDIAN, pixels.width), min(_MEDIAN, pixels.height)
    corners = []
    for left in (0, pixels.width - width):
        for top in (0, pixels.height - height):
            patch = pixels.crop(left, top, width, height)
            corners.append([patch[band].avg() for band in range(pixels.bands)])

    def agreeing(one: list[float]) -> int:
        differences = (max(map(abs, map(float.__sub__, one, other))) for other in corners)
        return sum(difference <= tolerance for difference in differences)

    return max(corners, key=agreeing)


def _filling(part: Part, recipe: Recipe) -> Part:
    """The centre of ``part`` in the shape of the recipe's box."""
    box = recipe.box
    scale = max(box[0] / part.width, box[1] / part.height)
    width = max(1, min(part.width, round(box[0] / scale)))
    height = max(1, min(part.height, round(box[1] / scale)))
    left, top = part.left + (part.width - width) // 2, part.top + (part.height - height) // 2
    return Part(left, top, width, height)


def _attractive(small: Any, whole: Part, centre: Part, size: Size) -> Part:
    """A part of ``whole``, as large as ``centre``, where libvips finds what draws the eye: edges,
    skin and saturated colours."""
    across, down = size[0] / small.width, size[1] / small.height
    area = whole.scaled(1 / across, 1 / down, (small.width, small.height))
    image = small.crop(area.left, area.top, area.width, area.height)
    width = max(1, min(area.width, round(centre.width / across)))
    height = max(1, min(area.height, round(centre.height / down)))
    found = image.smartcrop(width, height, interesting="attention")
    # libvips notes where a part was taken from as a negative offset.
    left = whole.left + round(-found.xoffset * across)
    top = whole.top + round(-found.yoffset * down)
    return replace(
        centre,
        left=min(left, whole.left + whole.width - centre.width),
        top=min(top, whole.top + whole.height - centre.height),
    )

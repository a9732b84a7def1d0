"""Which column is which: a sheet has roles, not fixed columns.

Roles: *images*, one or more columns, the only one that is required; *serial* and *name*. They are
found, in this order, by the caller's choice, by the choice that the owner saved for this header, by
a platform's profile, by our own names, by the content of the cells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from imageproc.sheet.cell import split_cell
from imageproc.sheet.errors import UnreadableError
from imageproc.sheet.profiles import PROFILES, Profile

# What our own columns are called, after ``plain``.
COLUMNS: Mapping[str, frozenset[str]] = {
    "S. No.": frozenset(
        {"sno", "srno", "slno", "snumber", "serial", "serialno", "serialnum", "serialnumber"}
    ),
    "Product Name": frozenset({"product", "productname"}),
    "Input Image Urls": frozenset(
        {"inputimageurls", "inputimageurl", "inputimages", "inputimage"}
        | {"inputurls", "inputurl", "imageurls", "imageurl"}
    ),
}
SERIAL, NAME, IMAGES = COLUMNS
_ROLE = {alias: column for column, aliases in COLUMNS.items() for alias in aliases}
# Second best, where a role has no column yet.
_SERIAL_LIKE = (
    "sku",
    "productid",
    "itemid",
    "articlenumber",
    "articleno",
    "itemno",
    "handle",
    "id",
)
_NAME_LIKE = ("name", "title", "producttitle", "itemname", "productname", "description")
_IMAGE_WORD = re.compile(r"image|img|photo|foto|picture|pic|bild|media|thumb", re.IGNORECASE)
_PICTURE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|bmp|tiff?|heic)(?:[?#]|\Z)", re.IGNORECASE)
_IGNORED = re.compile(r"[\s._\-\ufeff]+")


class Choice(NamedTuple):
    """Columns by their names in the header; "" for a role that no column has."""

    images: tuple[str, ...]
    serial: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """Indices into the header. ``found_by``: caller, saved, profile, names or content.
    ``profile``: the platform's name. ``paths``: image cells may hold paths."""

    images: tuple[int, ...]
    serial: int | None
    name: int | None
    found_by: str
    profile: str = ""
    paths: bool = False


# The choice that is saved for a header, or None.
Saved = Callable[[Sequence[str]], Choice | None]


def plain(name: str) -> str:
    """A column's name without what people write differently."""
    return _IGNORED.sub("", name).casefold()


def find(header: Sequence[str], caller: Choice | None, saved: Saved | None) -> Columns | None:
    """The columns by all that a header alone can tell."""
    if caller:
        return _chosen(header, caller, "caller")
    remembered = saved(header) if saved else None
    if remembered:
        found = _chosen(header, remembered, "saved")
        if found:
            return found
    return _by_profile(tuple(header)) or _by_names(header)


def missing(header: Sequence[str], choice: Choice) -> list[str]:
    """What a choice names and the header does not have."""
    known = {plain(cell) for cell in header}
    names = (*choice.images, choice.serial, choice.name)
    return [name for name in names if name and plain(name) not in known]


def own_roles(header: Sequence[str]) -> int:
    """How many of our own roles the header names."""
    return len({_ROLE[plain(cell)] for cell in header if plain(cell) in _ROLE})


def is_classic(header: Sequence[str], columns: Columns) -> bool:
    """Whether it is the three-column sheet, perhaps as it was given back."""
    names = [plain(cell) for cell in header if cell.strip()]
    ours = {"outputimageurls", "status", "error"}
    return (
        columns.found_by == "names"
        and columns.serial is not None
        and columns.name is not None
        and len([name for name in names if name not in ours]) == len(COLUMNS)
    )


def by_content(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns | None:
    """The columns whose cells are links to pictures; where none is, the only one of links."""
    if any("://" in cell for cell in header):
        return None  # a file without a header
    links: list[int] = []
    pictures: list[int] = []
    for index, name in enumerate(header):
        cells = [row[index] for row in rows if index < len(row) and row[index].strip()]
        parts = [split_cell(cell) for cell in cells]
        found = [
            cell for cell in parts if cell and cell[0].lower().startswith(("http://", "https://"))
        ]
        if not found or len(found) < 0.5 * len(cells) or plain(name).startswith("output"):
            continue
        links.append(index)
        shown = sum(bool(_PICTURE.search(cell[0])) for cell in found)
        if _IMAGE_WORD.search(name) or shown > 0.5 * len(found):
            pictures.append(index)
    images = tuple(pictures or (links if len(links) == 1 else ()))
    if not images:
        return None
    return Columns(images, *_other_roles(header, images), found_by="content")


def _chosen(header: Sequence[str], choice: Choice, found_by: str) -> Columns | None:
    """None where the header lacks one of them."""
    if not choice.images or missing(header, choice):
        return None
    exact = {cell.strip(): index for index, cell in reversed(list(enumerate(header)))}
    loose = {plain(cell): index for index, cell in reversed(list(enumerate(header)))}

    def index_of(name: str) -> int:
        return exact.get(name.strip(), loose[plain(name)])

    images = tuple(dict.fromkeys(index_of(name) for name in choice.images))
    serial = index_of(choice.serial) if choice.serial else None
    name = index_of(choice.name) if choice.name else None
    profile = _by_profile(tuple(header))
    return Columns(images, serial, name, found_by, paths=bool(profile and profile.paths))


@lru_cache(maxsize=64)
def _by_profile(header: tuple[str, ...]) -> Columns | None:
    names = [plain(cell).lstrip("*").rstrip("*") for cell in header]
    for profile in PROFILES:
        found = _matched(names, profile)
        if found:
            return found
    return None


def _matched(names: list[str], profile: Profile) -> Columns | None:
    def first(patterns: Sequence[str]) -> int | None:
        for pattern in patterns:
            fits = _pattern(pattern)
            for index, name in enumerate(names):
                if fits.fullmatch(name):
                    return index
        return None

    wanted = [_pattern(pattern) for pattern in profile.images]
    images = [
        n
        for n, name in enumerate(names)
        if not name.startswith("output") and any(fits.fullmatch(name) for fits in wanted)
    ]
    if not images or any(first(needed.split("|")) is None for needed in profile.needs):
        return None
    return Columns(
        tuple(images),
        first(profile.serial),
        first(profile.title),
        "profile",
        profile.name,
        profile.paths,
    )


@lru_cache(maxsize=512)
def _pattern(name: str) -> re.Pattern[str]:
    text = re.escape(plain(name.replace("*", "\0"))).replace("\\#", "#")
    # A "#" at the end or behind letters is a number; "Reference #" keeps its sign.
    text = text.replace("#", r"(?:\d+|\#)").replace("\0", ".*")
    return re.compile(text)


def _by_names(header: Sequence[str]) -> Columns | None:
    """Raises ``UnreadableError`` where one of our names stands twice."""
    roles = [_ROLE.get(plain(cell)) for cell in header]
    counts = Counter(roles)
    if not counts[IMAGES]:
        return None
    doubled = [column for column in COLUMNS if counts[column] > 1]
    if doubled:
        raise UnreadableError(
            "column_duplicate",
            f"The header names the column {' and the column '.join(doubled)} more than once. "
            "Keep one of them.",
            column=", ".join(doubled),
            value=", ".join(header),
        )
    images = (roles.index(IMAGES),)
    serial, name = _other_roles(header, images)
    return Columns(images, serial, name, found_by="names")


def _other_roles(header: Sequence[str], images: Sequence[int]) -> tuple[int | None, int | None]:
    """(serial, name) by our names, else by what other people call them."""
    names = [plain(cell) for cell in header]

    def first(role: str, like: Sequence[str], taken: Sequence[int | None]) -> int | None:
        own = [n for n, name in enumerate(names) if _ROLE.get(name) == role]
        others = [names.index(name) for name in like if name in names]
        return next((n for n in [*own, *others] if n not in taken), None)

    serial = first(SERIAL, _SERIAL_LIKE, images)
    return serial, first(NAME, _NAME_LIKE, [*images, serial])


def to_dict(columns: Columns) -> dict[str, Any]:
    """Plain JSON types."""
    return {
        "images": list(columns.images),
        "serial": columns.serial,
        "name": columns.name,
        "found_by": columns.found_by,
        "profile": columns.profile,
        "paths": columns.paths,
    }

"""What may be asked of an upload, and the upload itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO

from imageproc import sheet
from imageproc.images.presets import PRESETS
from imageproc.images.recipe import Recipe
from imageproc.models import Priority

# Options that take the place of what the preset has, named as in Recipe.
RECIPE_OPTIONS = (
    *("max_width", "max_height", "quality", "format", "background"),
    *("fit", "crop", "trim", "margin", "sharpen", "keep_copyright", "max_bytes"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What may be asked of an upload. None: as the preset has it, or as it is found. Sizes in
    pixels."""

    preset: str = "catalog"
    max_width: int | None = None
    max_height: int | None = None
    quality: int | None = None
    format: str | None = None
    background: str | None = None
    fit: str | None = None
    crop: str | None = None
    trim: int | None = None
    margin: float | None = None
    sharpen: bool | None = None
    keep_copyright: bool | None = None
    max_bytes: int | None = None
    store_originals: bool = False
    priority: str = Priority.NORMAL.value
    # Requests a second to each host at the most; None: as fast as it answers.
    host_pace: float | None = None
    webhook_url: str = ""
    # The name of a group of the owner, whose members see the request; "": the owner alone.
    team: str = ""
    # Gets an e-mail when the request has ended; "": nobody.
    notify_email: str = ""
    # Bad rows: the whole file is refused, or they are left out.
    skip_bad_rows: bool = False
    # Output URLs in the input's place, with the columns Status and Error or without them.
    replace_urls: bool = False
    status_column: bool = False
    columns: sheet.Choice | None = None
    # imageproc.images.patterns: what objects and files are named after; "": as ever.
    names: str = ""
    # What paths in image cells are below.
    image_base: str = ""
    # Seconds: a URL that was asked for so lately is not asked for again. ``refresh``: each is
    # fetched and compressed anew.
    max_age: int | None = None
    refresh: bool = False
    # Which worksheet of a workbook; "": the first one.
    worksheet: str = ""

    def recipe(self) -> Recipe:
        """The preset with what was asked for in its place. Raises RecipeError where that does not
        go together."""
        own = {name: getattr(self, name) for name in RECIPE_OPTIONS}
        given = {name: value for name, value in own.items() if value is not None}
        return PRESETS[self.preset].recipe.changed(**given)


@dataclass(frozen=True, slots=True)
class Upload:
    """``file``: seekable, its first byte next. ``base_url``: where the service was reached."""

    owner_id: int
    file: IO[bytes]
    file_name: str
    base_url: str
    options: Options = field(default_factory=Options)
    idempotency_key: str | None = None

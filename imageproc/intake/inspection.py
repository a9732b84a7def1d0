"""A file is read to its end and every line is judged; nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from os import SEEK_END
from typing import IO, Any, BinaryIO, cast

from django.conf import settings

from imageproc import sheet
from imageproc.images.fetch import Policy, check
from imageproc.images.patterns import Pattern
from imageproc.intake import columns, naming
from imageproc.intake.options import Options, Upload
from imageproc.intake.refused import Refused

# Errors that an answer names; errors of rows that one request may skip.
SHOWN_ERRORS = 100
MAX_SKIPPED = 100_000


def rehearse(upload: Upload) -> tuple[sheet.Sheet, Refused | None]:
    """What ``accept`` would find in the file, read to its end, and why its names would be refused;
    nothing is stored. Raises Refused for a file that is too large; ``obstacles`` has what else
    would be refused."""
    check_size(upload.file)
    checked = _examine(upload)
    if not upload.options.names:
        checked.validate()
        return checked, None
    check = naming.NameCheck(Pattern(upload.options.names))
    checked.validate(partial(check.watch, checked))
    upload.file.seek(0)
    clash = check.clash(lambda: _examine(upload))
    return checked, _same_names(clash) if clash else None


def inspect(upload: Upload) -> sheet.Sheet:
    """Read a whole CSV and judge every line of it. Raises Refused with the first errors."""
    checked, same_names = rehearse(upload)
    if not is_accepted(checked, upload.options):
        raise invalid(checked.summary)
    if same_names:
        raise same_names
    return checked


def is_accepted(checked: sheet.Sheet, options: Options) -> bool:
    """Whether a file that was read to its end becomes a request."""
    found = checked.summary
    skippable = options.skip_bad_rows and found.usable and found.error_count <= MAX_SKIPPED
    return found.ok or skippable


def errors_of(upload: Upload) -> Iterator[sheet.LineError]:
    """Everything to correct in a file. Raises Refused as ``rehearse`` does."""
    check_size(upload.file)
    return (item for item in _examine(upload) if isinstance(item, sheet.LineError))


def notes_on(checked: sheet.Sheet) -> list[str]:
    """What the owner should know of how a file was read."""
    form, found = checked.format, checked.summary
    notes = []
    if form and form.assumed:
        notes.append(
            f"The file does not say how its letters are encoded; {form.encoding} was assumed. "
            "Its bytes come back unchanged."
        )
    if found.unescaped:
        links = "1 link" if found.unescaped == 1 else f"{found.unescaped:,} links"
        notes.append(f"In {links} the HTML &amp; was read as &.")
    if found.shared:
        links = "1 share link" if found.shared == 1 else f"{found.shared:,} share links"
        notes.append(f"{links} of a cloud storage: the file behind it is fetched, not its page.")
    if found.headers:
        times = "once" if found.headers == 1 else f"{found.headers:,} times"
        notes.append(f"The header is repeated {times} among the rows; it is left out there.")
    return notes


def kinds_of(found: sheet.SheetSummary) -> list[dict[str, Any]]:
    """[{code, message, count}] of a file's errors, the commonest first."""
    sentences = {error.code: error.message for error in reversed(found.errors)}
    return [
        {"code": code, "message": sentences.get(code, ""), "count": count}
        for code, count in found.kinds.most_common()
    ]


def invalid(found: sheet.SheetSummary) -> Refused:
    return Refused(
        400,
        "csv_invalid",
        f"The file has {found.error_count} "
        f"{'error' if found.error_count == 1 else 'errors'}; nothing was stored.",
        errors=[error._asdict() for error in found.errors[:SHOWN_ERRORS]],
        error_count=found.error_count,
        kinds=kinds_of(found),
    )


def _same_names(clash: naming.Clash) -> Refused:
    one, other = clash.rows
    rows = f"Two images of row {one}" if one == other else f"Images of rows {one} and {other}"
    message = (
        f'{rows} would get the same name, "{clash.name}" (upper and lower case count as equal).'
        " Choose a pattern that tells them apart, such as {serial}_{row}_{position}."
    )
    errors = [
        sheet.LineError(line, "", clash.name, "names_collide", message, row)._asdict()
        for line, row in zip(clash.lines, clash.rows, strict=True)
    ]
    return Refused(400, "names_collide", message, errors=errors, error_count=2, field="names")


def check_size(file: IO[bytes]) -> None:
    """Raises Refused where a file is too large. Leaves it at its start."""
    size = file.seek(0, SEEK_END)
    file.seek(0)
    if size > settings.MAX_UPLOAD_BYTES:
        raise Refused(
            413,
            "upload_too_large",
            f"The file is larger than {settings.MAX_UPLOAD_BYTES:,} bytes. Split it.",
        )


def _examine(upload: Upload) -> sheet.Sheet:
    policy = Policy.from_settings()
    options = upload.options
    limits = sheet.SheetLimits(
        max_rows=settings.MAX_IMAGES_PER_REQUEST,
        max_images=settings.MAX_IMAGES_PER_REQUEST,
        max_errors=MAX_SKIPPED if options.skip_bad_rows else SHOWN_ERRORS,
    )
    wanted = columns.wanted(upload.owner_id, options.columns, options.image_base, options.worksheet)
    file = cast("BinaryIO", upload.file)
    return sheet.read(file, limits, lambda url: _judge(url, policy), wanted)


def _judge(url: str, policy: Policy) -> tuple[str, str] | None:
    """What the outbound policy holds against a URL's host or port: (code, sentence)."""
    fault = check(url, policy)
    return (fault.code, fault.sentence) if fault else None

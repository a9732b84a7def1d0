"""Validates what clients send: form fields, JSON bodies and queries, in camelCase."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from rest_framework import serializers

from imageproc.images.patterns import DEFAULT, Pattern, PatternError
from imageproc.images.patterns import PRESETS as PATTERNS
from imageproc.images.presets import PRESETS
from imageproc.images.recipe import (
    CROPS,
    FITS,
    MAX_MARGIN,
    MAX_SIDE,
    MAX_TRIM,
    MIN_BYTES,
    RecipeError,
)
from imageproc.intake import Options
from imageproc.models import Priority, ProcessingRequest, RequestStatus
from imageproc.models.host import FASTEST_PACE, SLOWEST_PACE
from imageproc.requests import report
from imageproc.sheet import Choice

# What a pattern may hold.
NAMES = (
    "A pattern of {serial}, {name}, {position}, {column}, {digest}, {row} and {variant} (MAIN, "
    f"PT01, …), or a preset: {', '.join(PATTERNS)}."
)


class KnownFields(serializers.Serializer[Any]):
    """Refuses fields that it does not know, by name: a misspelt option would be left out silently.

    ``also``: names that are no fields of its own but may be sent.
    """

    also: frozenset[str] = frozenset()

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, Mapping):
            unknown = {str(name) for name in data} - set(self.fields) - self.also
            if unknown:
                raise serializers.ValidationError(
                    {name: self._unknown(name) for name in sorted(unknown)}, code="unknown"
                )
        return super().run_validation(data)

    def _unknown(self, name: str) -> str:
        known = {str(field).lower(): str(field) for field in self.fields}
        plain = name.lower().replace("_", "").replace("-", "")
        near = get_close_matches(plain, known, n=1, cutoff=0.7)
        hint = f" Did you mean {known[near[0]]}?" if near else ""
        return f"There is no option {name[:60]}.{hint}"


class UploadSerializer(KnownFields):
    """The options of an upload: form fields, or the query string where the CSV is the body."""

    # The file itself; Django's token of a form; the name that clients of an earlier system send.
    also = frozenset({"file", "csv", "csrfmiddlewaretoken", "webhook_url"})

    webhookUrl = serializers.URLField(  # noqa: N815
        max_length=2048, default="", help_text="Receives a message when the request has ended."
    )
    notifyEmail = serializers.EmailField(  # noqa: N815
        max_length=254, default="", help_text="Gets an e-mail when the request has ended."
    )
    team = serializers.CharField(
        max_length=150,
        default="",
        help_text="One of your groups: its members see the request, and can retry or cancel it.",
    )
    priority = serializers.ChoiceField(choices=Priority.choices, default=Priority.NORMAL.value)
    preset = serializers.ChoiceField(
        choices=list(PRESETS),
        default="catalog",
        help_text="Size, fit and quality under one name; what is chosen beside it comes first.",
    )
    maxWidth = serializers.IntegerField(min_value=1, max_value=MAX_SIDE, required=False)  # noqa: N815
    maxHeight = serializers.IntegerField(min_value=1, max_value=MAX_SIDE, required=False)  # noqa: N815
    quality = serializers.IntegerField(min_value=1, max_value=100, required=False)
    format = serializers.ChoiceField(choices=["jpeg", "webp", "avif", "png"], required=False)
    background = serializers.RegexField(
        r"^#[0-9a-fA-F]{6}\Z",
        required=False,
        help_text="Around a padded picture, and for transparency where the format has none.",
    )
    fit = serializers.ChoiceField(
        choices=FITS,
        required=False,
        help_text="inside: within the box, never enlarged. pad: exactly the box, with background "
        "around the picture. cover: exactly the box, cut from the picture.",
    )
    crop = serializers.ChoiceField(
        choices=CROPS,
        required=False,
        help_text="With fit=cover: the part that is shown, the centre or where the eye is drawn.",
    )
    trim = serializers.IntegerField(
        min_value=0,
        max_value=MAX_TRIM,
        required=False,
        help_text="Removes a plain border that varies by up to so many levels of 255; 20 suits "
        "photographs, 0 removes nothing.",
    )
    margin = serializers.FloatField(
        min_value=0,
        max_value=MAX_MARGIN,
        required=False,
        help_text="With fit=pad: percent of the box that stay free at each side; with trim, 7.5 "
        "lets the product fill 85 percent.",
    )
    sharpen = serializers.BooleanField(
        default=None,
        allow_null=True,
        help_text="Sharpens lightly what becomes half as large or smaller.",
    )
    maxBytes = serializers.IntegerField(  # noqa: N815
        min_value=MIN_BYTES,
        max_value=2**31 - 1,
        required=False,
        help_text="Of each picture: for it the quality is lowered, to 25, and then the size.",
    )
    keepCopyright = serializers.BooleanField(  # noqa: N815
        default=None,
        allow_null=True,
        help_text="Copyright and creator stay in the pictures. All other metadata goes, but for "
        "the label of pictures made by AI, which always stays.",
    )
    storeOriginals = serializers.BooleanField(  # noqa: N815
        default=False, help_text="Also keep the original images."
    )
    names = serializers.CharField(
        required=False,
        help_text=f"Names of the results, on the storage, in links and in the ZIP. {NAMES}",
    )
    hostPace = serializers.FloatField(  # noqa: N815
        min_value=SLOWEST_PACE,
        max_value=FASTEST_PACE,
        required=False,
        help_text="Requests a second to each image host at the most, of all workers and uploads.",
    )
    columns = serializers.CharField(
        required=False,
        max_length=20_000,
        help_text='Which columns to read, as JSON: {"images": ["Image Src"], "serial": "Handle", '
        '"name": "Title"}. Without it they are found by the header, or by what the cells hold.',
    )
    baseUrl = serializers.URLField(  # noqa: N815
        max_length=2048, default="", help_text="What paths in image cells, as Magento's, are below."
    )
    worksheet = serializers.CharField(
        required=False,
        max_length=100,
        help_text="Which worksheet of a workbook to read; without it the first one.",
    )
    onError = serializers.ChoiceField(  # noqa: N815
        choices=["refuse", "skip"],
        default="refuse",
        help_text="refuse: one bad row refuses the file. skip: bad rows are left out and named in "
        "the output and in failed.csv.",
    )
    output = serializers.ChoiceField(
        choices=["append", "replace"],
        default="append",
        help_text="append: output URLs in columns of their own. replace: in the place of the input "
        "URLs, which stay where there is no result.",
    )
    statusColumn = serializers.BooleanField(  # noqa: N815
        default=False, help_text="With output=replace: add the columns Status and Error."
    )
    maxAge = serializers.IntegerField(  # noqa: N815
        min_value=0,
        max_value=2**31 - 1,
        required=False,
        help_text="Seconds: a URL that you had fetched within them is not asked for again.",
    )
    refresh = serializers.BooleanField(
        default=False, help_text="Fetch and compress everything anew."
    )
    dryRun = serializers.BooleanField(  # noqa: N815
        default=False, help_text="Check the file and store nothing."
    )

    def validate_names(self, value: str) -> str:
        return _pattern(value).text

    def validate_columns(self, value: str) -> Choice:
        try:
            chosen = json.loads(value)
            return Choice(
                tuple(map(_text, chosen["images"])),
                _text(chosen.get("serial") or ""),
                _text(chosen.get("name") or ""),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise serializers.ValidationError(
                'Use JSON like {"images": ["Image Src"], "serial": "Handle", "name": "Title"}.'
            ) from error

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            _options(attrs).recipe()
        except RecipeError as error:
            first, *rest = error.field.split("_")
            name = first + "".join(map(str.capitalize, rest))
            raise serializers.ValidationError({name: error.sentence}) from error
        return attrs

    def options(self) -> Options:
        return _options(self.validated_data)


def _options(data: dict[str, Any]) -> Options:
    return Options(
        preset=data["preset"],
        max_width=data.get("maxWidth"),
        max_height=data.get("maxHeight"),
        quality=data.get("quality"),
        format=data.get("format"),
        background=data.get("background"),
        fit=data.get("fit"),
        crop=data.get("crop"),
        trim=data.get("trim"),
        margin=data.get("margin"),
        sharpen=data["sharpen"],
        keep_copyright=data["keepCopyright"],
        max_bytes=data.get("maxBytes"),
        store_originals=data["storeOriginals"],
        names=data.get("names", ""),
        priority=data["priority"],
        host_pace=data.get("hostPace"),
        webhook_url=data["webhookUrl"],
        notify_email=data["notifyEmail"],
        team=data["team"],
        skip_bad_rows=data["onError"] == "skip",
        replace_urls=data["output"] == "replace",
        status_column=data["statusColumn"],
        max_age=data.get("maxAge"),
        refresh=data["refresh"],
        columns=data.get("columns"),
        image_base=data["baseUrl"],
        worksheet=data.get("worksheet", ""),
    )


def _pattern(text: str) -> Pattern:
    try:
        return Pattern(text)
    except PatternError as error:
        raise serializers.ValidationError(str(error), code="names_invalid") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


class OutputSerializer(serializers.Serializer[Any]):
    """The form of the output; without ``output``, the one that the upload asked for."""

    output = serializers.ChoiceField(choices=["append", "replace"], default=None)
    statusColumn = serializers.BooleanField(  # noqa: N815
        default=False, help_text="With output=replace: add the columns Status and Error."
    )

    def form(self, upload: ProcessingRequest) -> report.Form:
        """Of a CSV."""
        data = self.validated_data
        if data["output"] is None:
            return replace(report.form_of(upload), workbook=False)
        return report.Form(data["output"] == "replace", data["statusColumn"])


class OutputCsvSerializer(OutputSerializer):
    """What else a CSV can show: how its rows compare with what their URLs gave before."""

    changeColumn = serializers.BooleanField(  # noqa: N815
        default=False, help_text="Add the column Change: new, changed or unchanged."
    )
    changedOnly = serializers.BooleanField(  # noqa: N815
        default=False, help_text="Only the rows that are new or changed."
    )

    def form(self, upload: ProcessingRequest) -> report.Form:
        data = self.validated_data
        own = super().form(upload)
        return replace(own, change=data["changeColumn"], changed_only=data["changedOnly"])


class NamesSerializer(serializers.Serializer[Any]):
    """What the files in a ZIP are called."""

    names = serializers.CharField(
        default="", help_text=f"Without it, the upload's, or {DEFAULT}. {NAMES}"
    )

    def validate_names(self, value: str) -> Pattern | None:
        return _pattern(value) if value else None

    def pattern(self, upload: ProcessingRequest) -> Pattern:
        found: Pattern | None = self.validated_data["names"]
        return found or Pattern(upload.names or DEFAULT)


class UploadFormSerializer(UploadSerializer):
    """The multipart form: the file and the options."""

    file = serializers.FileField(help_text='The CSV or workbook. The name "csv" works too.')


class PageSerializer(serializers.Serializer[Any]):
    """``cursor``: the nextCursor of the previous page; without it, the first page."""

    cursor = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    limit = serializers.IntegerField(
        min_value=1, max_value=report.MAX_PAGE_SIZE, default=report.PAGE_SIZE
    )

    def page(self) -> dict[str, Any]:
        return {"after": self.validated_data["cursor"], "limit": self.validated_data["limit"]}


class ListSerializer(serializers.Serializer[Any]):
    """``cursor``: the nextCursor of the previous page; without it, the newest."""

    cursor = serializers.UUIDField(default=None)
    limit = serializers.IntegerField(
        min_value=1, max_value=report.MAX_PAGE_SIZE, default=report.PAGE_SIZE
    )
    status = serializers.ChoiceField(choices=RequestStatus.choices, default=None)

    def page(self) -> dict[str, Any]:
        data = self.validated_data
        return {"before": data["cursor"], "limit": data["limit"], "status": data["status"]}


class RetrySerializer(KnownFields):
    """Selects failed images; without any of these fields, all of them."""

    imageIds = serializers.ListField(  # noqa: N815
        child=serializers.UUIDField(), max_length=1000, default=None
    )
    code = serializers.CharField(max_length=40, default=None, help_text="A code from errors[].")
    host = serializers.CharField(max_length=255, default=None)

    def filters(self) -> dict[str, Any]:
        data = self.validated_data
        return {"image_ids": data["imageIds"], "code": data["code"], "host": data["host"]}


class PrioritySerializer(KnownFields):
    priority = serializers.ChoiceField(choices=Priority.choices)

"""The options of an upload as arguments of a command, made from the fields that the API declares:
``maxWidth`` there is ``--max-width`` here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rest_framework import serializers

from imageproc.api.serializers import UploadSerializer
from imageproc.intake import Options

# What stands for the value in the help, by the kind of the field.
METAVARS: tuple[tuple[type[Any], str], ...] = (
    (serializers.IntegerField, "NUMBER"),
    (serializers.FloatField, "NUMBER"),
    (serializers.URLField, "URL"),
    (serializers.Field, "TEXT"),
)


def add_upload_options(parser: CommandParser) -> None:
    for name, field in UploadSerializer().fields.items():
        parser.add_argument(_flag(name), **_argument(field))


def upload_options(arguments: Mapping[str, Any]) -> Options:
    """The options among a command's arguments. Raises CommandError, which names each argument that
    the API would refuse."""
    data = {str(name): arguments[_place(str(name))] for name in UploadSerializer().fields}
    serializer = UploadSerializer(data={n: value for n, value in data.items() if value is not None})
    if not serializer.is_valid():
        lines = [_complaint(name, errors) for name, errors in serializer.errors.items()]
        raise CommandError("\n".join(lines), returncode=2)
    return serializer.options()


def _flag(name: str) -> str:
    return "--" + re.sub("[A-Z]", lambda capital: f"-{capital[0].lower()}", name)


def _place(name: str) -> str:
    """Where argparse puts the value."""
    return _flag(name).lstrip("-").replace("-", "_")


def _argument(field: serializers.Field[Any, Any, Any, Any]) -> dict[str, Any]:
    """Keywords for ``add_argument``. None stands for an option that was not chosen."""
    if isinstance(field, serializers.BooleanField):
        return {"action": "store_const", "const": True, "help": _help(field)}
    if isinstance(field, serializers.ChoiceField):
        return {"choices": list(field.choices), "help": _help(field)}
    metavar = next(metavar for kind, metavar in METAVARS if isinstance(field, kind))
    return {"metavar": metavar, "help": _help(field)}


def _help(field: serializers.Field[Any, Any, Any, Any]) -> str:
    parts = [str(field.help_text or "")]
    low, high = getattr(field, "min_value", None), getattr(field, "max_value", None)
    if low is not None and high is not None:
        parts.append(f"From {low} to {high}.")
    if isinstance(field, serializers.ChoiceField) and isinstance(field.default, str):
        parts.append(f"Default: {field.default}.")
    return " ".join(filter(None, parts)).replace("%", "%%")


def _complaint(name: str, errors: Any) -> str:
    sentences = " ".join(map(str, errors)) if isinstance(errors, list) else str(errors)
    return f"{_flag(name)}: {sentences}" if name in UploadSerializer().fields else sentences

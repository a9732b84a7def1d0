"""Turns ``imageproc.api.shapes`` into schemas of the OpenAPI 3.1 document."""

from __future__ import annotations

import inspect
import types
from datetime import datetime
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from imageproc.api import shapes

Schema = dict[str, Any]
PROBLEM_JSON = "application/problem+json"
_PRIMITIVES: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
    type(None): {"type": "null"},
    Any: {},
}


def ref(shape: Any) -> Schema:
    """The response of a view: a reference to one of the shapes."""
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def problems(*codes: int) -> dict[tuple[int, str], Schema]:
    """The error responses of an operation, 429 included, for ``extend_schema(responses=…)``."""
    return {(code, PROBLEM_JSON): ref(shapes.Problem) for code in (*codes, 429)}


def components() -> dict[str, Schema]:
    """Every shape as a component, by name."""
    named = {name: value for name, value in vars(shapes).items() if is_typeddict(value)}
    return {name: _object(shape) for name, shape in sorted(named.items())}


def _object(shape: Any) -> Schema:
    hints = get_type_hints(shape, include_extras=True)
    # __required_keys__ misses NotRequired where annotations are strings (PEP 563).
    optional = [name for name, hint in hints.items() if get_origin(hint) is NotRequired]
    hints |= {name: get_args(hints[name])[0] for name in optional}
    schema: Schema = {
        "type": "object",
        "properties": {name: _schema(hint) for name, hint in hints.items()},
        "required": sorted(shape.__required_keys__ - set(optional)),
        "additionalProperties": False,
    }
    if (doc := inspect.getdoc(shape)) and not doc.startswith("dict("):
        schema["description"] = doc
    return schema


def _schema(hint: Any) -> Schema:
    if is_typeddict(hint):
        return ref(hint)
    if hint in _PRIMITIVES:
        return dict(_PRIMITIVES[hint])
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return {**_schema(args[0]), "description": args[1]}
    if origin is Literal:
        return {"const": args[0]} if len(args) == 1 else {"enum": list(args)}
    if origin is list:
        return {"type": "array", "items": _schema(args[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(args[1])}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(arg) for arg in args]}
    raise TypeError(f"no schema for {hint!r}")


def append_shapes(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's post-processing hook."""
    result.setdefault("components", {}).setdefault("schemas", {}).update(components())
    return result


def add_summaries(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's post-processing hook: an operation's summary is the first sentence of its
    description."""
    for path in result["paths"].values():
        for operation in path.values():
            text = " ".join(operation.get("description", "").split())
            operation.setdefault("summary", text.partition(". ")[0].rstrip("."))
    return result


def leave_options_empty(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's post-processing hook: Swagger UI fills a form with each field's example,
    else with its minimum or a text of its own, which nobody meant to send."""
    for schema in result["components"]["schemas"].values():
        if schema.get("properties", {}).get("file", {}).get("format") == "binary":
            for name, field in schema["properties"].items():
                if name not in schema.get("required", ()) and "default" not in field:
                    field["example"] = ""
    return result


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """``Authorization: Bearer ip_…``."""

    target_class = "imageproc.api.auth.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> Schema:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "ip_…"}


def for_new_clients(endpoints: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """drf-spectacular's pre-processing hook: leaves out the addresses of the old systems and the
    short form of an image's address."""
    return [
        endpoint
        for endpoint in endpoints
        if endpoint[0].startswith("/api/") and endpoint[0] != "/api/images/{image_id}"
    ]

"""What is said of a broken rule: where, what was found, what is allowed, which name was probably meant."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from pyramid.errors import Violation

# jsonschema.exceptions.ValidationError, which types its attributes as if the error were still being made.
SchemaError: TypeAlias = Any

MAX_FOUND_CHARACTERS = 80
MAX_NAME_CHARACTERS = 200

_TYPE_WORDS = MappingProxyType(
    {
        "string": "a string",
        "integer": "an integer",
        "number": "a finite number",
        "boolean": "true or false",
        "array": "a list",
        "object": "an object",
        "null": "null",
    }
)


def pointer(keys: Iterable[str | int]) -> str:
    """The JSON pointer (RFC 6901) of a path of keys and indices; empty for the document itself.

    Of a key that is longer than any that a schema knows it has the beginning.
    """
    return "".join("/" + _cut(str(key)).replace("~", "~0").replace("/", "~1") for key in keys)


def nearest(name: object, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name most like `name`, or nothing where none is like it."""
    text = str(name)
    alike = (
        difflib.get_close_matches(text, list(known), n=1, cutoff=0.6)
        if len(text) <= MAX_NAME_CHARACTERS
        else ()
    )
    return f"; did you mean '{alike[0]}'?" if alike else ""


def found(value: Any) -> str:
    """A value as JSON, cut where it is long."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"the number {value}"
    text = ""
    for piece in _json_pieces(value):
        text += piece
        if len(text) > MAX_FOUND_CHARACTERS:
            return text[: MAX_FOUND_CHARACTERS - 3] + "..."
    return text


def _json_pieces(value: Any) -> Iterator[str]:
    """The JSON of `value` from left to right: of a long value, only what is asked for is made."""
    if isinstance(value, str):
        yield json.dumps(value[: MAX_FOUND_CHARACTERS + 1], ensure_ascii=False)
    elif isinstance(value, Mapping):
        for place, (key, item) in enumerate(value.items()):
            yield ", " if place else "{"
            yield from _json_pieces(str(key))
            yield ": "
            yield from _json_pieces(item)
        yield "}" if value else "{}"
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield ", " if place else "["
            yield from _json_pieces(item)
        yield "]" if value else "[]"
    else:
        yield json.dumps(value, ensure_ascii=False, default=repr)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_NAME_CHARACTERS else text[:MAX_NAME_CHARACTERS] + "..."


def allowed(rule: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a rule of the schema allows, in words: `an integer from 1 to 8192`."""
    if "$ref" in rule:
        return allowed(definitions[rule["$ref"].rsplit("/", 1)[1]], definitions)
    if "title" in rule:
        return str(rule["title"])
    if "const" in rule:
        return found(rule["const"])
    if "enum" in rule:
        return "one of " + ", ".join(str(value) for value in rule["enum"])
    types = rule.get("type", [])
    words = " or ".join(_TYPE_WORDS[name] for name in ([types] if isinstance(types, str) else types))
    if not words:
        return "anything"
    if "items" in rule and isinstance(rule["items"], Mapping):
        words += f" (each item {allowed(rule['items'], definitions)})"
    if "minLength" in rule:
        words += " that is not empty"
    return words + _range(rule) + _size(rule)


def schema_violations(
    error: SchemaError, schema: Mapping[str, Any], job: Mapping[str, Any]
) -> Iterator[Violation]:
    """What one error of jsonschema means; `job` is as given, nulls included."""
    path = list(error.absolute_path)
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema["properties"]
        for key in error.instance:
            if key not in known:
                yield Violation(pointer([*path, key]), f"unknown key{nearest(key, known)}")
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                yield _missing(path, key, error, schema, job)
    else:
        yield Violation(pointer(path), _wrong_value(error, schema))


def _missing(
    path: list[str | int], key: str, error: SchemaError, schema: Mapping[str, Any], job: Mapping[str, Any]
) -> Violation:
    definitions = schema["$defs"]
    owner = definitions["field"] if path else schema
    wanted = allowed(owner["properties"][key], definitions)
    state = "null" if not path and key in job else "missing"
    if path:
        who = f"a field of type {error.instance['type']} needs it" if "type" in error.instance else "needed"
    else:
        who = f"a {error.instance['job_type']} job needs it"
    return Violation(pointer([*path, key]), f"{state}; {who}: {wanted}")


def _wrong_value(error: SchemaError, schema: Mapping[str, Any]) -> str:
    value = error.instance
    message = f"found {found(value)}, allowed is {allowed(error.schema, schema['$defs'])}"
    if error.validator == "type" and isinstance(value, float) and "integer" in error.validator_value:
        message += " (written without a decimal point)"
    names = error.schema.get("enum") or error.schema.get("examples")
    if names and isinstance(value, str):
        message += nearest(value, [name for name in names if isinstance(name, str)])
    return message


def _range(rule: Mapping[str, Any]) -> str:
    low, high = rule.get("minimum"), rule.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    limits = [
        f"{words} {rule[keyword]}"
        for keyword, words in (
            ("minimum", "of at least"),
            ("exclusiveMinimum", "greater than"),
            ("maximum", "of at most"),
            ("exclusiveMaximum", "less than"),
        )
        if keyword in rule
    ]
    return " " + " and ".join(limits) if limits else ""


def _size(rule: Mapping[str, Any]) -> str:
    low, high = rule.get("minItems"), rule.get("maxItems")
    if low is None and high is None:
        return ""
    return f" of {low} items" if low == high else f" of at least {low} item{'s' if low != 1 else ''}"

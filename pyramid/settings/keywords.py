"""Keywords of JSON Schema as job files need them: no coercion, and quick on lists of thousands of fields.

The general implementations of jsonschema make a validator for each value, which costs about 90 microseconds a
field. The ones here look first whether a value is plainly right, and leave everything else, above all the
words of an error, to jsonschema. They accept exactly what the general ones accept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

# The classes that jsonschema makes have more methods than its protocol of a validator says.
Validator: TypeAlias = Any
Errors = Iterator[ValidationError]

_GENERAL = Draft202012Validator.VALIDATORS
_PLAIN_TYPES = MappingProxyType({"string": (str,), "integer": (int,), "number": (int, float)})
_PLAIN_KEYWORDS = frozenset({"type", "minimum", "description", "default"})


def condition_holds(condition: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Whether an `if` of the job schema, which always asks for one value of one key, holds."""
    ((key, rule),) = condition["properties"].items()
    return key in value and bool(value[key] == rule["const"])


def compile_schema(schema: Mapping[str, Any]) -> Validator:
    """A validator of `schema` that takes only finite numbers as numbers and only `int` as integers."""
    return validators.extend(
        Draft202012Validator,
        validators={"allOf": _all_of, "if": _if, "items": _items, "properties": _properties},
        type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
            {"integer": _is_integer, "number": _is_number}
        ),
    )(schema)


def _is_integer(_checker: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_checker: object, value: object) -> bool:
    return _is_integer(_checker, value) or (isinstance(value, float) and math.isfinite(value))


def _plainly_valid(rule: Any, value: Any) -> bool:
    if not isinstance(rule, dict) or not rule.keys() <= _PLAIN_KEYWORDS:
        return False
    if type(value) not in _PLAIN_TYPES.get(str(rule.get("type")), ()):
        return False
    if type(value) is str:
        return "minimum" not in rule
    return math.isfinite(value) and value >= rule.get("minimum", value)


def _if(validator: Validator, condition: Mapping[str, Any], value: Any, rule: Any) -> Errors:
    if validator.is_type(value, "object") and condition_holds(condition, value):
        yield from validator.descend(value, rule["then"], schema_path="then")


def _all_of(validator: Validator, rules: Any, value: Any, _rule: Any) -> Errors:
    for place, rule in enumerate(rules):
        if validator.is_type(value, "object") and condition_holds(rule["if"], value):
            yield from validator.descend(value, rule, schema_path=place)


def _items(validator: Validator, items: Any, value: Any, rule: Any) -> Errors:
    if validator.is_type(value, "array") and all(_plainly_valid(items, item) for item in value):
        return
    yield from _GENERAL["items"](validator, items, value, rule)


def _properties(validator: Validator, properties: Mapping[str, Any], value: Any, rule: Any) -> Errors:
    if not validator.is_type(value, "object"):
        return
    doubtful = {
        key: properties[key]
        for key in value
        if key in properties and not _plainly_valid(properties[key], value[key])
    }
    yield from _GENERAL["properties"](validator, doubtful, value, rule)

"""Keywords of JSON Schema as job files need them: no coercion, and quick on a million values.

The general implementations of jsonschema make a validator for each value, which costs about 90 microseconds a
field. The ones here look first whether a value is certainly right, and leave everything else, above all the
words of an error, to jsonschema. They accept exactly what the general ones accept. Of the wrong values in one
list or object they tell the first only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from pyramid.settings.quick import TYPES, QuickRules

# The classes that jsonschema makes have more methods than its protocol of a validator says.
Validator: TypeAlias = Any
Errors = Iterator[ValidationError]

MAX_TOLD = 100
"""How many wrong values of one list or object are told."""

_GENERAL = Draft202012Validator.VALIDATORS


def condition_holds(condition: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Whether an `if` of the job schema, which always asks for one value of one key, holds."""
    ((key, rule),) = condition["properties"].items()
    return key in value and bool(value[key] == rule["const"])


def compile_schema(schema: Mapping[str, Any]) -> Validator:
    """A validator of `schema` that takes only finite numbers as numbers and only `int` as integers."""
    quick = QuickRules(schema["$defs"])

    def items(validator: Validator, rule: Any, value: Any, whole: Any) -> Errors:
        if not isinstance(value, list) or not isinstance(rule, dict):
            yield from _GENERAL["items"](validator, rule, value, whole)
            return
        check, first = quick.predicate(rule), len(whole.get("prefixItems", ()))
        doubtful = (place for place in range(first, len(value)) if not check(value[place]))
        yield from _first_wrong(validator, ((place, value[place], rule) for place in doubtful))

    def properties(validator: Validator, rules: Any, value: Any, _whole: Any) -> Errors:
        if not isinstance(value, dict):
            return
        for key, item in value.items():
            if key in rules and not quick.predicate(rules[key])(item):
                yield from validator.descend(item, rules[key], path=key, schema_path=key)

    def additional_properties(validator: Validator, rule: Any, value: Any, whole: Any) -> Errors:
        if not isinstance(value, dict):
            return
        extras = (key for key in value if key not in whole.get("properties", ()))
        if rule is False:
            if next(extras, None) is not None:
                yield ValidationError("unknown keys")
            return
        check = quick.predicate(rule)
        doubtful = (key for key in extras if not check(value[key]))
        yield from _first_wrong(validator, ((key, value[key], rule) for key in doubtful))

    return validators.extend(
        Draft202012Validator,
        validators={
            "allOf": _all_of,
            "if": _if,
            "items": items,
            "properties": properties,
            "additionalProperties": additional_properties,
        },
        type_checker=_TypeChecker(),
    )(schema)


def _first_wrong(validator: Validator, doubtful: Iterable[tuple[Any, Any, Any]]) -> Errors:
    """The errors of the first of (path, value, rule) that are wrong."""
    told = 0
    for path, value, rule in doubtful:
        errors = list(validator.descend(value, rule, path=path))
        yield from errors
        told += bool(errors)
        if told == MAX_TOLD:
            return


class _TypeChecker:
    """What is of which type. That of jsonschema leaves some bytes behind with every look."""

    def is_type(self, value: object, name: str) -> bool:
        """Whether `value` is of the JSON type `name`."""
        return isinstance(value, TYPES[name]) and not (
            (isinstance(value, bool) and name != "boolean")
            or (isinstance(value, float) and not math.isfinite(value))
        )


def _if(validator: Validator, condition: Mapping[str, Any], value: Any, rule: Any) -> Errors:
    if isinstance(value, dict) and condition_holds(condition, value):
        yield from validator.descend(value, rule["then"], schema_path="then")


def _all_of(validator: Validator, rules: Any, value: Any, _rule: Any) -> Errors:
    for place, rule in enumerate(rules):
        if isinstance(value, dict) and condition_holds(rule["if"], value):
            yield from validator.descend(value, rule, schema_path=place)

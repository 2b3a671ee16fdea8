"""Predicates made of JSON Schema rules: a million values in about a second, without a word on what is wrong.

A predicate is true of values that are certainly right. Of a value that it is false of, jsonschema has the last word;
so a rule with a keyword that is not known here costs time, never a verdict.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

Predicate = Callable[[Any], bool]
Rule = Mapping[str, Any]

TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
        "array": (list,),
        "object": (dict,),
        "null": (type(None),),
    }
)
"""The Python types of the JSON types; `bool` counts as an `int` in Python only."""

_SILENT = frozenset({"$schema", "$id", "$defs", "title", "description", "default", "examples"})


class QuickRules:
    """The predicates of one schema; `definitions` are its `$defs`."""

    def __init__(self, definitions: Mapping[str, Any]):
        """Start without predicates: each is made when it is first asked for."""
        self._definitions = definitions
        self._named: dict[str, Predicate] = {}
        self._made: dict[int, Predicate] = {}

    def predicate(self, rule: Any) -> Predicate:
        """The predicate of a rule, which must live as long as this object: it is known by its identity."""
        if id(rule) not in self._made:
            self._made[id(rule)] = self._make(rule)
        return self._made[id(rule)]

    def _make(self, rule: Any) -> Predicate:
        if not isinstance(rule, dict):
            return _always if rule is True else _never
        parts = [self._keyword(keyword, rule) for keyword in rule if keyword not in _SILENT]
        return _both(parts)

    def _keyword(self, keyword: str, rule: Rule) -> Predicate:
        value = rule[keyword]
        if keyword in _SIMPLE:
            return _SIMPLE[keyword](value)
        match keyword:
            case "$ref":
                return partial(self._refer, value.rsplit("/", 1)[1])
            case "allOf":
                return self._conditions(value)
            case "items":
                first = len(rule.get("prefixItems", ()))
                if value is False:
                    return _sized(list, lambda length, limit: length <= limit, first)
                return partial(_each, self.predicate(value), first)
            case "prefixItems":
                return partial(_in_turn, [self.predicate(part) for part in value])
            case "properties":
                checks = {key: self.predicate(part) for key, part in value.items()}
                return partial(_known, checks)
            case "additionalProperties":
                known = frozenset(rule.get("properties", ()))
                if value is False:
                    return lambda value: type(value) is dict and value.keys() <= known
                return partial(_others, known, self.predicate(value))
        return _never

    def _refer(self, name: str, value: Any) -> bool:
        if name not in self._named:
            self._named[name] = self.predicate(self._definitions[name])
        return self._named[name](value)

    def _conditions(self, rules: list[Rule]) -> Predicate:
        """Rules of the kind `if KEY is WORD then ...`: one look at a key finds those that hold."""
        found: dict[str, dict[str, list[Predicate]]] = {}
        for rule in rules:
            if rule.keys() != {"if", "then"}:
                return _never
            ((key, condition),) = rule["if"]["properties"].items()
            if type(condition["const"]) is not str:
                return _never
            found.setdefault(key, {}).setdefault(condition["const"], []).append(self.predicate(rule["then"]))
        joined = {key: {word: _both(then) for word, then in words.items()} for key, words in found.items()}

        def hold(value: Any) -> bool:
            if type(value) is not dict:
                return False
            for key, words in joined.items():
                word = value.get(key)
                if type(word) is str and word in words and not words[word](value):
                    return False
            return True

        return hold


def _always(_value: Any) -> bool:
    return True


def _never(_value: Any) -> bool:
    return False


def _both(parts: list[Predicate]) -> Predicate:
    if len(parts) == 1:
        return parts[0]

    def all_hold(value: Any) -> bool:
        for part in parts:  # noqa: SIM110 - all() of a generator takes twice the time
            if not part(value):
                return False
        return True

    return all_hold


def _each(check: Predicate, skipped: int, value: Any) -> bool:
    if type(value) is not list:
        return False
    return all(map(check, value[skipped:] if skipped else value))


def _in_turn(checks: list[Predicate], value: Any) -> bool:
    if type(value) is not list:
        return False
    for check, item in zip(checks, value, strict=False):  # noqa: SIM110 - as in _both
        if not check(item):
            return False
    return True


def _known(checks: Mapping[str, Predicate], value: Any) -> bool:
    if type(value) is not dict:
        return False
    for key, item in value.items():  # noqa: SIM110 - as in _both
        if key in checks and not checks[key](item):
            return False
    return True


def _others(known: frozenset[str], check: Predicate, value: Any) -> bool:
    if type(value) is not dict:
        return False
    return all(key in known or check(item) for key, item in value.items())


def _of_type(names: Any) -> Predicate:
    types = {kind for name in ([names] if isinstance(names, str) else names) for kind in TYPES[name]}
    if float not in types:
        return lambda value: type(value) in types
    return lambda value: type(value) in types and (type(value) is not float or math.isfinite(value))


def _one_of(values: list[Any]) -> Predicate:
    # of other values than strings JSON Schema has ideas of its own on what is equal
    strings = frozenset(value for value in values if type(value) is str)
    return lambda value: type(value) is str and value in strings


def _constant(wanted: Any) -> Predicate:
    return lambda value: type(value) is type(wanted) and type(wanted) in (str, int) and value == wanted


def _compared(holds: Callable[[Any, Any], bool], limit: Any) -> Predicate:
    return lambda value: type(value) in (int, float) and holds(value, limit)


def _sized(kind: type[str] | type[list], holds: Callable[[int, int], bool], limit: int) -> Predicate:
    return lambda value: isinstance(value, kind) and holds(len(value), limit)


def _matches(pattern: str) -> Predicate:
    search = re.compile(pattern).search
    return lambda value: type(value) is str and search(value) is not None


def _has_keys(names: list[str]) -> Predicate:
    wanted = frozenset(names)
    return lambda value: type(value) is dict and wanted <= value.keys()


_SIMPLE: Mapping[str, Callable[[Any], Predicate]] = MappingProxyType(
    {
        "type": _of_type,
        "enum": _one_of,
        "const": _constant,
        "minimum": partial(_compared, lambda value, limit: value >= limit),
        "maximum": partial(_compared, lambda value, limit: value <= limit),
        "exclusiveMinimum": partial(_compared, lambda value, limit: value > limit),
        "exclusiveMaximum": partial(_compared, lambda value, limit: value < limit),
        "minLength": partial(_sized, str, lambda length, limit: length >= limit),
        "minItems": partial(_sized, list, lambda length, limit: length >= limit),
        "maxItems": partial(_sized, list, lambda length, limit: length <= limit),
        "pattern": _matches,
        "required": _has_keys,
    }
)

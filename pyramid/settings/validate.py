"""The one schema of job files, and the violations that a job commits against it."""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from pyramid.errors import MAX_VIOLATIONS, Violation
from pyramid.settings.keywords import Validator, compile_schema, condition_holds
from pyramid.settings.semantics import semantic_violations
from pyramid.settings.wording import pointer, schema_violations
from pyramid.storage.nesting import is_deeper

MAX_DEPTH = 100
MAX_ORDERED_KEYS = 10_000
SCHEMA_PATH = Path(__file__).parent / "schema" / "job.json"
GENERATION_DEFAULT = "generation_default"
"""The schema's keyword for a default that only `pyramid_generate` fills in: jobs never read those keys."""


@cache
def schema() -> Mapping[str, Any]:
    """The JSON Schema of a job: the source of the checks, the defaults and the docs page."""
    loaded: dict[str, Any] = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    return loaded


@cache
def _validator() -> Validator:
    return compile_schema(schema())


def complete(job: Mapping[str, Any]) -> dict[str, Any]:
    """The job without its nulls, its defaults (also those that depend on another key) behind its keys."""
    given = {key: value for key, value in job.items() if value is not None}
    defaults = {key: rule["default"] for key, rule in schema()["properties"].items() if "default" in rule}
    for rule in schema()["allOf"]:
        if condition_holds(rule["if"], ChainMap(given, defaults)):
            conditional = rule["then"].get("properties", {})
            defaults.update({key: rule["default"] for key, rule in conditional.items()})
    return given | {key: value for key, value in defaults.items() if key not in given}


def violations(job: Mapping[str, Any]) -> list[Violation]:
    """The broken rules of a job file, in the order of its keys; keys that are missing come last.

    No more than `MAX_VIOLATIONS` are looked for, and rules between keys only where those of single keys break fewer.
    Where a value is nested too deep, that alone is said: no other rule can be checked.
    """
    if too_deep := [key for key, value in job.items() if is_deeper(value, MAX_DEPTH)]:
        message = f"nested too deep; allowed are {MAX_DEPTH} levels of lists and objects"
        return [Violation(pointer([key]), message) for key in islice(too_deep, MAX_VIOLATIONS)]
    completed = complete(job)
    every = (
        v for error in _validator().iter_errors(completed) for v in schema_violations(error, schema(), job)
    )
    found = list(dict.fromkeys(islice(every, MAX_VIOLATIONS)))
    if len(found) < MAX_VIOLATIONS:
        found += semantic_violations(completed, {_first_key(v) for v in found}, MAX_VIOLATIONS - len(found))
    order = {pointer([key]): place for place, key in enumerate(islice(job, MAX_ORDERED_KEYS))}
    return sorted(found, key=lambda violation: order.get("/" + _first_key(violation), len(order)))


def _first_key(violation: Violation) -> str:
    return violation.path.split("/")[1] if violation.path else ""

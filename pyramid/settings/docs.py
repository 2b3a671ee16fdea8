"""The docs page of the job settings, written from the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyramid.settings.validate import GENERATION_DEFAULT, schema
from pyramid.settings.wording import allowed, found


def page() -> str:
    """`docs/settings.md`: one row a key, and what a field and a layer may be."""
    return "\n".join(_lines(schema())) + "\n"


def _lines(job: Mapping[str, Any]) -> Iterator[str]:
    yield "# Job settings"
    yield ""
    yield "Written by `python -m pyramid.settings` from `pyramid/settings/schema/job.json`: change it there."
    yield ""
    yield str(job["description"])
    yield ""
    yield "Every key is legal in every job. A key that no job needs and that has no default may be left out."
    yield ""
    yield "| key | allowed | needed by | default | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for key, rule in job["properties"].items():
        columns = (
            f"`{key}`",
            allowed(rule, job["$defs"]),
            _needed_by(job, key),
            _default(job, key),
            rule["description"],
        )
        yield "| " + " | ".join(column.replace("|", "\\|") for column in columns) + " |"
    yield ""
    yield "## Fields: `info_list`"
    yield ""
    yield "| type | needs |"
    yield "| --- | --- |"
    field = job["$defs"]["field"]
    for rule in field["allOf"]:
        needs = (
            f"`{key}`: {allowed(field['properties'][key], job['$defs'])}" for key in rule["then"]["required"]
        )
        yield f"| `{rule['if']['properties']['type']['const']}` | {'; '.join(needs)} |"
    yield ""
    yield "Only the objective, the last field, can be of type `bounding_box`."
    yield "A field may have a `name`, a string, which the final model keeps."
    part = allowed(field["properties"]["part"], job["$defs"])
    yield (
        f"A numeric one that is part of a date also has the `column` that holds dates, its `part` ({part}) and, where "
        "1/3/2024 is a day in March, `day_first` true: the final model then takes dates."
    )
    yield ""
    yield "## Layers: `layers`"
    yield ""
    yield (
        "Each layer is an object with a `type` ("
        + _layer_types(job)
        + "), or has no `type` (the legacy form)."
    )
    yield (
        "Keys, names and widths are checked with all other settings as far as they can be told from the list alone; "
        "the rest is checked when the network is built."
    )


def _needed_by(job: Mapping[str, Any], key: str) -> str:
    if key in job["required"]:
        return "all"
    return ", ".join(
        rule["if"]["properties"]["job_type"]["const"]
        for rule in job["allOf"]
        if key in rule["then"].get("required", [])
    )


def _default(job: Mapping[str, Any], key: str) -> str:
    rule = job["properties"][key]
    if "default" in rule:
        return found(rule["default"])
    if GENERATION_DEFAULT in rule:
        return f"{found(rule[GENERATION_DEFAULT])} (pyramid_generate)"
    return ", ".join(
        f"{found(rule['then']['properties'][key]['default'])} ({_condition(rule)})"
        for rule in job["allOf"]
        if key in rule["then"].get("properties", {})
    )


def _condition(rule: Mapping[str, Any]) -> str:
    ((_, value),) = rule["if"]["properties"].items()
    return str(value["const"])


def _layer_types(job: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in job["$defs"]["layer"]["properties"]["type"]["enum"])

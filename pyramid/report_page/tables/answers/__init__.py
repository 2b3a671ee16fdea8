"""What a report of a table shows of a model's answers: one class for each kind of objective, all in `TABLE_ANSWERS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pyramid.report_page.tables.answers.classes import ClassAnswers
from pyramid.report_page.tables.answers.kind import TableAnswers
from pyramid.report_page.tables.answers.numbers import NumberAnswers

__all__ = ["TABLE_ANSWERS", "ClassAnswers", "NumberAnswers", "TableAnswers"]

TABLE_ANSWERS: Mapping[str, type[TableAnswers]] = MappingProxyType(
    {one.kind: one for one in (ClassAnswers, NumberAnswers)}
)
"""By the type of the objective."""

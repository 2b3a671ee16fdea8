"""From a table as people have it to what jobs take: kinds of fields, their statistics, and the rows as a `.ser`."""

from __future__ import annotations

from pyramid.frames.choices import TableChoices
from pyramid.frames.prepare import prepare
from pyramid.frames.split import held_out_rows, save_rows
from pyramid.frames.summary import ColumnSummary
from pyramid.frames.table import Table

__all__ = ["ColumnSummary", "Table", "TableChoices", "held_out_rows", "prepare", "save_rows"]

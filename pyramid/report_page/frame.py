"""What all pages are made of: the document around them, sections, facts, tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from pyramid.report_page.style import STYLE

# no script and nothing from elsewhere, whatever a file name tries
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, body: str) -> str:
    """A whole document that needs no other file.

    Args:
        body: markup.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def section(kind: str, title: str, content: str) -> str:
    """A part of a page under a heading; `content` is markup."""
    return f'<section class="{kind}"><h2>{title}</h2>{content}</section>\n'


def facts(named: Iterable[tuple[str, str]]) -> str:
    """Names and their values, large; both are text."""
    boxes = (f"<div><b>{escape(value)}</b><span>{escape(spaced(name))}</span></div>" for name, value in named)
    return f'<div class="facts">{"".join(boxes)}</div>'


def values(named: Iterable[tuple[str, str]]) -> str:
    """Keys and their values, small; both are text."""
    rows = "".join(f"<div><span>{escape(key)}</span><b>{escape(value)}</b></div>" for key, value in named)
    return f'<div class="values">{rows}</div>'


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """A table that scrolls where it is too wide.

    Args:
        headings: text.
        rows: of cells, which are markup.
    """
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table class="{kind}"><tr>{head}</tr>{body}</table></div>'


def figure(caption: str, drawing: str) -> str:
    """A drawing under its caption, which is text."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{drawing}</figure>"


def spaced(name: str) -> str:
    """A key as words."""
    return name.replace("_", " ")

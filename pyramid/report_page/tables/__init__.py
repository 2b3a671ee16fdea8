"""The page that a search over a table leaves: `report.html`, one file without others.

`sources` reads what it shows, `page` makes and writes it.
"""

from pyramid.report_page.tables.page import write_table_report

__all__ = ["write_table_report"]

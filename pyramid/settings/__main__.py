"""`python -m pyramid.settings` prints the docs page of the job settings."""

from __future__ import annotations

from pyramid.settings.docs import page

if __name__ == "__main__":
    print(page(), end="")

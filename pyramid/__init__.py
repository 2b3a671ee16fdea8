"""A worker that trains deepnets: see `pyramid.worker` for the process, `pyramid.jobs` for what it can do.

>>> import pyramid
>>> result = pyramid.fit("table.csv", "price", time=60)  # doctest: +SKIP
>>> result.model()([5.1, "a", None])  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyramid.search.api import fit
    from pyramid.search.result import FitResult

__version__ = "1.0.0"
__all__ = ["FitResult", "fit"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = "pyramid.search.api" if name == "fit" else "pyramid.search.result"
        return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]

"""What a search trains with, by choice."""

from __future__ import annotations

import sys

import pytest

from pyramid.search.choices import ChoiceError, FitChoices
from pyramid.search.searchers import start_searchers


def test_without_ray_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("pyramid.search.ray_backend", "pyramid.search.ray_node"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ChoiceError, match=r"pip install 'pyramid\[ray\]'"):
        start_searchers(FitChoices(ray="auto"))

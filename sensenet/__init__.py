"""BigML's deepnet documents become fast models, and back.

>>> import sensenet
>>> model = sensenet.create_model("model.json")  # doctest: +SKIP
>>> model([5.1, "a", None])  # doctest: +SKIP

Importing the package is quiet and quick: TensorFlow is imported when a model is first made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import sensenet.forks as _forks  # noqa: F401 - it watches for forks from here on

if TYPE_CHECKING:
    from sensenet.drawing import draw
    from sensenet.models.wrappers import convert, create_image_feature_extractor, create_model

__all__ = ["convert", "create_image_feature_extractor", "create_model", "draw"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = "sensenet.drawing" if name == "draw" else "sensenet.models.wrappers"
        return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]

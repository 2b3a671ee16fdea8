"""Published image networks: their layers by name, and their weights, downloaded when they are first needed.

>>> from sensenet import pretrained
>>> pretrained.weights_path("mobilenetv2")  # doctest: +SKIP
PosixPath('/home/me/.bigml_sensenet/mobilenetv2_weights_31b538bd.h5')

Importing the package is quiet and quick, and never touches the network.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sensenet.pretrained.networks import NETWORKS, image_network, network_document

if TYPE_CHECKING:
    from sensenet.pretrained.download import DownloadPolicy
    from sensenet.pretrained.layout import PretrainedLayers, read_layers
    from sensenet.pretrained.store import cache_directory, pretrained_layers, weights_path, weights_url

_LAZY = {
    "DownloadPolicy": "download",
    "PretrainedLayers": "layout",
    "cache_directory": "store",
    "pretrained_layers": "store",
    "read_layers": "layout",
    "weights_path": "store",
    "weights_url": "store",
}

__all__ = [
    "NETWORKS",
    "DownloadPolicy",
    "PretrainedLayers",
    "cache_directory",
    "image_network",
    "network_document",
    "pretrained_layers",
    "read_layers",
    "weights_path",
    "weights_url",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]

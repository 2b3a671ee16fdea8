"""What is wrong with the image network that a job or a config names, in the same words for both."""

from __future__ import annotations

from collections.abc import Sequence

from pyramid.images.training_types import TRAINING_TYPES
from pyramid.settings.wording import found, nearest
from sensenet.errors import SettingsError as NetworkError
from sensenet.pretrained import NETWORKS, image_network

FROM_NOTHING = tuple(name for name, how in TRAINING_TYPES.items() if not how.starts_trained)
BOXES = "bounding_box"
CLASSIFIERS = tuple(name for name, network in NETWORKS.items() if not network.branches)
DETECTORS = tuple(name for name, network in NETWORKS.items() if network.branches)


def network_problem(name: str, objective_type: str, others: Sequence[str] = ()) -> str | None:
    """What keeps a network from being trained for an objective.

    Args:
        others: names that are allowed, too.
    """
    allowed = (*(DETECTORS if objective_type == BOXES else CLASSIFIERS), *others)
    if name in allowed:
        return None
    if name not in NETWORKS:
        return f"found {found(name)}, {one_of(allowed)}{nearest(name, allowed)}"
    finds = "finds boxes" if name in DETECTORS else "finds no boxes"
    return f"found {found(name)}, which {finds}, {one_of(allowed)}"


def training_type_problem(name: str, training_type: str) -> str | None:
    """What keeps a network from being trained in a way: only published ones have weights to begin with."""
    if training_type not in TRAINING_TYPES:
        return f"found {found(training_type)}, {one_of(tuple(TRAINING_TYPES))}{nearest(training_type, TRAINING_TYPES)}"
    network = NETWORKS.get(name)
    if network is None or network.version is not None or training_type in FROM_NOTHING:
        return None
    return (
        f"found {found(training_type)}, but there are no pretrained weights of {name}: "
        f"allowed is {', '.join(FROM_NOTHING)}"
    )


def size_problem(name: str, shape: Sequence[int] | None) -> str | None:
    """What keeps a network from images of the size [width, height, 3]; without one it has its own, if any."""
    try:
        image_network(name, *(shape or ())[:2])
    except NetworkError as error:
        return str(error)
    return None


def anchors_problem(name: str, anchors: Sequence[Sequence[float]] | None) -> str | None:
    """What keeps a detector of this name from having such anchors: it needs a certain number of them."""
    return anchors_count_problem(
        name, sum(len(branch.anchors) for branch in NETWORKS[name].branches), anchors
    )


def anchors_count_problem(name: str, needed: int, anchors: Sequence[Sequence[float]] | None) -> str | None:
    """As `anchors_problem`, of a detector that has `needed` anchors."""
    if anchors is None or len(anchors) == needed:
        return None
    return (
        f"found {len(anchors)} anchors, but {name} has {needed}: allowed are {needed} pairs [width, height]"
    )


def one_of(names: Sequence[str]) -> str:
    """What is allowed where one of some names is."""
    return f"allowed is one of {', '.join(names)}"

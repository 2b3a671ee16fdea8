"""How image networks are trained: the types of training by name, and what a job and its directory are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple


class Phase(NamedTuple):
    """One phase of a training.

    Attributes:
        divisor: the learning rate is the job's, divided by this.
        trains_images: whether the image network is trained, too; else it predicts features, as it is. Of a detector
            the last convolutions are trained in any case.
        until: the share of the job's iterations, or of its time, that is over when the phase ends at the latest; see
            `patient`.
    """

    divisor: float
    trains_images: bool = True
    until: float = 1.0


def patient(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    """The phases without their shares: each lasts as long as patience does, and the first may use up all the time."""
    return tuple(phase._replace(until=1.0) for phase in phases)


@dataclass(frozen=True)
class TrainingType:
    """A type of training.

    Attributes:
        phases: one after the other.
        starts_trained: whether it begins with trained weights; else they are drawn.
    """

    phases: tuple[Phase, ...]
    starts_trained: bool = True

    @property
    def changes_images(self) -> bool:
        """Whether the image network is another one afterwards."""
        return any(phase.trains_images for phase in self.phases)


FINE_TUNE = "fine_tune"
"""The type that begins with a given network, and changes it."""

TRAINING_TYPES: Mapping[str, TrainingType] = MappingProxyType(
    {
        "randomly_initialize": TrainingType(
            (Phase(1, until=0.6), Phase(4, until=0.85), Phase(16)), starts_trained=False
        ),
        FINE_TUNE: TrainingType((Phase(1, trains_images=False, until=0.3), Phase(8, until=0.8), Phase(64))),
        "use_pretrained": TrainingType((Phase(1, trains_images=False),)),
    }
)
"""By `image_training_type`."""

INITIAL_MODEL = "initial_model"
"""What the name of a network begins with that is taken from the document of that key."""


def image_job_id(network: str, training_type: str) -> str:
    """The id of the image job that trains a network in one way; its directory is called after it."""
    return f"{network}_{training_type}"


def is_given(network: str) -> bool:
    """Whether a network of this name is taken from the job's `initial_model`."""
    return network.startswith(INITIAL_MODEL)

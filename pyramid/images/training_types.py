"""How image networks are trained: the types of training by name, and what a job and its directory are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple


class Phase(NamedTuple):
    """One phase of a training.

    Attributes:
        divisor: the learning rate is the job's, divided by this.
        trains_images: whether the image network is trained, too; else it predicts features, as it is. Of a detector
            the last convolutions are trained in any case.
        until: the share of the job's iterations, or of its time, that is over when the phase ends at the latest.
    """

    divisor: float
    trains_images: bool = True
    until: float = 1.0


@dataclass(frozen=True)
class TrainingType:
    """A type of training.

    Attributes:
        phases: one after the other, each as long as patience lasts.
        shares: of the job's iterations, or of its time, that are over at the end of each phase in trainings that
            divide them, so that the lower rates have their turn.
        starts_trained: whether it begins with trained weights; else they are drawn.
    """

    phases: tuple[Phase, ...]
    shares: tuple[float, ...]
    starts_trained: bool = True

    @property
    def timed_phases(self) -> tuple[Phase, ...]:
        """The phases, each with its share of the budget."""
        pairs = zip(self.phases, self.shares, strict=True)
        return tuple(phase._replace(until=share) for phase, share in pairs)

    @property
    def changes_images(self) -> bool:
        """Whether the image network is another one afterwards."""
        return any(phase.trains_images for phase in self.phases)


FINE_TUNE = "fine_tune"
"""The type that begins with a given network, and changes it."""

TRAINING_TYPES: Mapping[str, TrainingType] = MappingProxyType(
    {
        "randomly_initialize": TrainingType(
            (Phase(1), Phase(4), Phase(16)), shares=(0.6, 0.85, 1.0), starts_trained=False
        ),
        FINE_TUNE: TrainingType((Phase(1, trains_images=False), Phase(8), Phase(64)), shares=(0.3, 0.8, 1.0)),
        "use_pretrained": TrainingType((Phase(1, trains_images=False),), shares=(1.0,)),
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

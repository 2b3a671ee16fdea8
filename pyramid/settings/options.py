"""The settings of a job, divided into what is read together: each part of the code gets the options that it needs.

Options are called as the keys of the job schema, which says what they mean, in which ranges, and with which defaults.
A key that was not given, and that has no default there, is None, False, 0 or empty here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from pyramid.fields import Fields
from pyramid.images.training_types import TRAINING_TYPES, TrainingType, image_job_id, is_given
from pyramid.settings.base_settings import BaseSettings


@dataclass(frozen=True, kw_only=True)
class Options:
    """Some settings of a job."""

    @classmethod
    def of(cls, settings: BaseSettings) -> Self:
        """Those of a job: each attribute is the setting of its name."""
        given = {one.name: getattr(settings, one.name) for one in fields(cls)}
        return cls(**{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions(Options):
    """How steps are taken."""

    descent_algorithm: str
    learning_rate: float
    learning_rate_warmup_iterations: int = 0
    learning_rate_schedule: str = "constant"
    max_iterations: int | None = None
    weight_decay: float = 0.0
    beta1: float
    beta2: float
    epsilon: float
    rho: float | None = None
    momentum: float | None = None
    init_accumulator: float
    l1_regularization: float = 0.0
    l2_regularization: float = 0.0
    learning_rate_power: float


@dataclass(frozen=True, kw_only=True)
class LimitOptions(Options):
    """When a training is checked, and when it ends."""

    batch_size: int
    patience: int
    max_iterations: int | None = None
    max_training_time: float | None = None
    max_seconds_per_update: float
    learning_rate_warmup_iterations: int = 0


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(Options):
    """Which rows a step trains on."""

    seed: int
    batch_size: int
    balance_objective: bool = False
    mixup_alpha: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LossOptions(Options):
    """What is learnt of a row, and how much it counts; boxes have losses of their own."""

    loss_function: str | None = None
    label_smoothing_factor: float = 0.0
    class_weights: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True, kw_only=True)
class HoldoutOptions(Options):
    """Which rows are held out."""

    holdout_rate: float
    holdout_set_size: int
    cheat_on_validation: bool = False


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """All that a training needs beside its network and its rows."""

    optimizer: OptimizerOptions
    limits: LimitOptions
    sampling: SamplingOptions
    loss: LossOptions

    @classmethod
    def of(cls, settings: BaseSettings) -> Self:
        """Those of a job."""
        return cls(
            optimizer=OptimizerOptions.of(settings),
            limits=LimitOptions.of(settings),
            sampling=SamplingOptions.of(settings),
            loss=LossOptions.of(settings),
        )


@dataclass(frozen=True, kw_only=True)
class TreeOptions(Options):
    """Whether a network looks at tree features, and how many the cached rows have."""

    tree_embedding: bool = False
    tree_inputs: int = 0

    @property
    def uses_trees(self) -> bool:
        """Whether the job's network looks at tree features."""
        return bool(self.tree_embedding and self.tree_inputs)


@dataclass(frozen=True, kw_only=True)
class RootOptions(Options):
    """Where image files lie."""

    image_root: str = ""
    allow_outside_root: bool = False


@dataclass(frozen=True, kw_only=True)
class ReadOptions(RootOptions):
    """How image files are read."""

    color_space: str | None = None
    max_data_size: int | None = None
    skip_invalid_images: bool = False


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Options):
    """Which image network a job is about, and how it takes images."""

    base_image_network: str | None = None
    image_training_type: str | None = None
    initial_model: str | None = None
    input_image_shape: Sequence[int] | None = None
    rescale_type: str | None = None
    exif_rotation: bool = False
    bounding_box_anchors: Sequence[Sequence[float]] | None = None

    @property
    def training_type(self) -> TrainingType:
        """How the network is trained; needs the setting."""
        assert self.image_training_type is not None, "the schema asks for it"
        return TRAINING_TYPES[self.image_training_type]

    @property
    def image_job_id(self) -> str | None:
        """The id of the image job of this network and training; None where one is not named."""
        if self.base_image_network is None or self.image_training_type is None:
            return None
        return image_job_id(self.base_image_network, self.image_training_type)

    @property
    def takes_given(self) -> bool:
        """Whether the name of the network says that it is that of `initial_model`."""
        return self.base_image_network is not None and is_given(self.base_image_network)


@dataclass(frozen=True, kw_only=True)
class ReadoutOptions(Options):
    """The layers of the network behind the inputs, untrained."""

    layers: Sequence[Mapping[str, Any]]
    seed: int


@dataclass(frozen=True, kw_only=True)
class RowOptions(Options):
    """Where rows are."""

    cache_file: str | None = None
    cache_rows: int | None = None
    image_training_data: Sequence[Any] | None = None
    image_holdout_data: Sequence[Any] | None = None


@dataclass(frozen=True, kw_only=True)
class BoxOptions(Options):
    """What is made of boxes that cannot be learnt."""

    strict_boxes: bool = False


@dataclass(frozen=True, kw_only=True)
class DocumentOptions(Options):
    """What a final model carries beside the network, and in which form."""

    layers: Sequence[Mapping[str, Any]] | None = None
    training_options: Mapping[str, Any] = field(default_factory=dict)
    deepnet_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """What opening the rows of a caching job needs: their fields, where they are, and how images become features."""

    fields: Fields
    rows: RowOptions
    network: NetworkOptions
    images: ReadOptions

    @classmethod
    def of(cls, settings: BaseSettings) -> Self:
        """Those of a job.

        Raises:
            DataError, SettingsError: see `Fields.parse`.
        """
        return cls(
            fields=job_fields(settings),
            rows=RowOptions.of(settings),
            network=NetworkOptions.of(settings),
            images=ReadOptions.of(settings),
        )


def job_fields(settings: BaseSettings) -> Fields:
    """The fields of a job.

    Raises:
        DataError, SettingsError: see `Fields.parse`.
    """
    return Fields.parse(settings.info_list, bool(settings.instance_weights))

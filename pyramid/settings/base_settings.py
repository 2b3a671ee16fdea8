"""The settings of one job, as its job file gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyramid.errors import SettingsError, Violation
from pyramid.images.training_types import image_job_id
from pyramid.settings import validate
from pyramid.settings.wording import found, nearest


class BaseSettings:
    """The validated settings of a job: one attribute for each key of the job schema.

    A key that was not given (or is null) has its default, or is None. Settings never change; the lists and
    objects in them are those of the mapping they were made from.

    >>> settings = BaseSettings({
    ...     "job_type": "finalize_output", "job_id": "m1", "is_search": False, "objective_type": "numeric",
    ...     "output_directory": "/tmp/m1",
    ...     "info_list": [{"index": 0, "type": "numeric", "mean": 0, "stdev": 1},
    ...                   {"index": 1, "type": "numeric", "mean": 5.5, "stdev": 2}]})
    >>> settings.job_id, settings.patience, settings.seed
    ('m1', 32, None)
    """

    __slots__ = ("_values",)

    def __init__(self, mapping: Mapping[str, Any]):
        """Validate the JSON object of a job file.

        Raises:
            SettingsError: it breaks the schema; carries every violation with its JSON pointer.
        """
        if not isinstance(mapping, Mapping):
            raise SettingsError([Violation("", f"found {found(mapping)}, but a job is a JSON object")])
        violations = validate.violations(mapping)
        if violations:
            raise SettingsError(violations)
        object.__setattr__(self, "_values", _with_derived(validate.complete(mapping)))

    @classmethod
    def of_validated(cls, values: Mapping[str, Any]) -> BaseSettings:
        """Settings from what `as_dict` gave, such as another process sent; nothing is checked again."""
        settings = cls.__new__(cls)
        object.__setattr__(settings, "_values", dict(values))
        return settings

    def as_dict(self) -> dict[str, Any]:
        """The keys that were given, and the defaults of others."""
        return dict(self._values)

    def __getattr__(self, name: str) -> Any:
        """The value of a key, its default, or None; an unknown name raises AttributeError."""
        known = validate.schema()["properties"]
        if name not in known:
            raise AttributeError(f"no setting is called '{name}'{nearest(name, known)}")
        return self._values.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Settings never change: always raises AttributeError."""
        raise AttributeError(f"settings never change: '{name}' cannot be set")

    def __delattr__(self, name: str) -> None:
        """Settings never change: always raises AttributeError."""
        raise AttributeError(f"settings never change: '{name}' cannot be deleted")

    def __dir__(self) -> list[str]:
        """The names of all settings beside the methods."""
        return [*super().__dir__(), *validate.schema()["properties"]]

    def __eq__(self, other: object) -> bool:
        """Whether all settings are the same."""
        return isinstance(other, BaseSettings) and self._values == other._values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """The class and its settings."""
        return f"BaseSettings({self._values!r})"


def job_id_of(mapping: Mapping[str, Any]) -> str | None:
    """The id under which a job is answered, also of a job that is not valid; None where it cannot be said."""
    if mapping.get("job_type") == "image_training":
        network, training = mapping.get("base_image_network"), mapping.get("image_training_type")
        if isinstance(network, str) and isinstance(training, str):
            return image_job_id(network, training)
    job_id = mapping.get("job_id")
    return job_id if isinstance(job_id, str) else None


def _with_derived(values: dict[str, Any]) -> dict[str, Any]:
    derived = {"job_id": job_id_of(values)}
    if "augmentation_seed" not in values and "seed" in values:
        derived["augmentation_seed"] = values["seed"]
    return values | derived

"""Where a search trains its candidates: on this machine, or on those of a cluster."""

from __future__ import annotations

from importlib import import_module

from pyramid.search.backend import Backend
from pyramid.search.choices import ChoiceError, FitChoices
from pyramid.search.local import LocalBackend


def start_searchers(choices: FitChoices) -> Backend:
    """The backend that is chosen.

    Raises:
        ChoiceError: it needs Ray, which is not installed.
        PyramidError: the cluster cannot be reached.
    """
    if choices.ray is None:
        return LocalBackend(choices.n_workers, choices.threads, choices.debug)
    try:
        module = import_module("pyramid.search.ray_backend")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ChoiceError("ray: Ray is not installed: pip install 'pyramid[ray]'") from error
    backend: Backend = module.RayBackend(choices.ray, choices.workers, choices.debug)
    return backend

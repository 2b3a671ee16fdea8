"""The job types. A job module has `run(settings, workspace, report) -> result` and imports no other job module."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import MappingProxyType
from typing import Any

from pyramid.progress import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.workspace import Workspace

Job = Callable[[BaseSettings, Workspace, Report], dict[str, Any]]

JOBS = MappingProxyType(
    {
        "image_training": "pyramid.jobs.image_training",
        "dataset_caching": "pyramid.jobs.dataset_caching",
        "standard_training": "pyramid.jobs.training",
        "search_submodel": "pyramid.jobs.training",
        "finalize_output": "pyramid.jobs.finalizing",
    }
)


def load_job(job_type: str) -> Job:
    """The function that runs jobs of this type; its module (and TensorFlow) is imported on the first call.

    Raises:
        KeyError: no such job type is built in.
    """
    job: Job = import_module(JOBS[job_type]).run
    return job

"""The nodes of a Ray cluster as workers: Ray places tasks, and begins those of a lost node again elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

import pyramid
from pyramid.datasets.workers import Workers
from pyramid.search.ray_backend import MOST_RETRIES, ClusterError, connect, processors_of_nodes


@contextmanager
def cluster(address: str) -> Iterator[Workers]:
    """A worker for each processor that the cluster has.

    Raises:
        ClusterError: it cannot be reached, or lost a task too often.
    """
    is_connected_here = not ray.is_initialized()
    if is_connected_here:
        connect(address, debug=False)
    try:
        task = ray.remote(_call).options(num_cpus=1, max_retries=MOST_RETRIES)

        def submit(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
            return partial(_result, task.remote(pyramid.__version__, function, arguments))

        yield Workers(max(1, sum(processors_of_nodes())), submit)
    finally:
        if is_connected_here:
            ray.shutdown()


def _result(ref: ray.ObjectRef) -> Any:
    try:
        return ray.get(ref)
    except RayTaskError as error:
        raise error.cause from error
    except RayError as error:
        raise ClusterError(f"ray: a task was lost: {str(error).strip().partition(chr(10))[0]}") from error


def _call(version: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    if pyramid.__version__ != version:
        raise ClusterError(
            f"a node has pyramid {pyramid.__version__}, the driver {version}: install the driver's"
        )
    return function(*arguments)

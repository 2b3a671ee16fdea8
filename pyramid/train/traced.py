"""Compiled functions that are traced once, for the job that makes them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sensenet.collection import collection_paused


def traced_once(function: Any) -> Callable[..., Any]:
    """A `tf.function` that is traced by its first call, for the shapes of that call, and then called directly.

    A direct call is spared the search for a fitting trace, a third of a millisecond. TensorFlow counts the traces of
    the other calls by the place of the function in the source: it would take one function a job for one function that
    is traced again and again, and warn. Any thread may call.
    """
    traced: list[Any] = []
    lock = threading.Lock()

    def call(*arguments: Any) -> Any:
        if not traced:
            with lock:
                if not traced:
                    traced.append(trace(function, *arguments))
        return traced[0](*arguments)

    return call


def trace(function: Any, *arguments: Any) -> Any:
    """The concrete function of a `tf.function` for the shapes of some arguments; no time for unreachable objects."""
    with collection_paused():
        return function.get_concrete_function(*arguments)

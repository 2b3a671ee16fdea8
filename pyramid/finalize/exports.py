"""The final model in other formats, and whether what was written says what the model says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyramid.workspace import Workspace, naming_file
from sensenet.directories import check_replaceable
from sensenet.errors import SensenetError
from sensenet.formats import FORMATS
from sensenet.formats.receipt import check_export
from sensenet.partial_files import remove, temporary_path

JAVASCRIPT = "tfjs"
JAVASCRIPT_MODEL = "model.json"
# no check is begun later than this, nor with a program that takes longer to start than that
CHECK_SECONDS = 20.0
START_SECONDS = 5.0


@contextmanager
def javascript_beside(model: Any, workspace: Workspace, warn: Callable[[str], None]) -> Iterator[None]:
    """Write the model for TensorFlow.js, under a name that it loses when the body succeeds: so both appear, or none.

    Nothing is there afterwards where TensorFlow.js cannot run the model.

    Args:
        warn: told of a model that it cannot run.

    Raises:
        WorkspaceError: it cannot be written, or something else than an earlier one stands there.
    """
    target = workspace.final_javascript
    new = temporary_path(target)
    try:
        try:
            with naming_file(target):
                check_replaceable(target, JAVASCRIPT_MODEL)
                FORMATS[JAVASCRIPT].write(model, new)
        except SensenetError as error:
            warn(f"warning: there is no TensorFlow.js model: {error}")
        yield
        remove(target)
        if new.exists():
            new.rename(target)
    finally:
        remove(new)


def javascript_paths(workspace: Workspace) -> tuple[str | None, list[str] | None]:
    """The paths of the TensorFlow.js model and of its weights; None where there is none."""
    document = workspace.final_javascript / JAVASCRIPT_MODEL
    if not document.is_file():
        return None, None
    return str(document), sorted(map(str, workspace.final_javascript.glob("*.bin")))


def check_exports(model: Any, workspace: Workspace, warn: Callable[[str], None]) -> list[dict[str, Any]]:
    """A receipt of each export (`sensenet.formats.receipt.Receipt`), as far as the time goes.

    Args:
        warn: told of an export that says something else than the model.
    """
    receipts: list[dict[str, Any]] = []
    end = time.monotonic() + CHECK_SECONDS
    for to_format, path in _exports(workspace).items():
        if time.monotonic() > end:
            break
        try:
            receipt = check_export(model, path, to_format, START_SECONDS)
        except SensenetError as error:
            warn(f"warning: {path} cannot be tried: {error}")
            continue
        receipts.append(receipt.as_dict())
        if receipt.consumer is not None and not receipt.agrees:
            warn(f"warning: {path} says something else than the model, as {receipt.consumer} runs it")
    return receipts


def _exports(workspace: Workspace) -> Mapping[str, Path]:
    exports = {"smbundle": workspace.final_bundle, JAVASCRIPT: workspace.final_javascript}
    return {name: path for name, path in exports.items() if name in FORMATS and path.exists()}

"""The final model in other formats, and whether what was written says what the model says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyramid.workspace import Workspace, naming_file
from sensenet.directories import Marker, check_replaceable
from sensenet.errors import SensenetError
from sensenet.formats import FORMATS
from sensenet.formats.receipt import check_export
from sensenet.formats.tfjs.files import MODEL_FILE
from sensenet.partial_files import remove, temporary_path

JAVASCRIPT = "tfjs"
# under this name of ours any model is an earlier one, whatever converter wrote it
EARLIER = Marker(MODEL_FILE, b"")
# all checks together, as far as they can be ended, and what a program may need before it computes
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
                check_replaceable(target, EARLIER)
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
    document = workspace.final_javascript / MODEL_FILE
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
        left = end - time.monotonic()
        if left <= 0:
            break
        try:
            receipt = check_export(model, path, to_format, min(START_SECONDS, left), left)
        except SensenetError as error:
            warn(f"warning: {path} cannot be tried: {error}")
            continue
        receipts.append(receipt.as_dict())
        if receipt.consumer is not None and not receipt.agrees:
            warn(f"warning: {path} says something else than the model, as {receipt.consumer} runs it")
    return receipts


def _exports(workspace: Workspace) -> Mapping[str, Path]:
    exports = {"smbundle": workspace.final_bundle, JAVASCRIPT: workspace.final_javascript}
    return {name: path for name, path in exports.items() if path.exists()}

"""The final model in other formats, and whether what was written says what the model says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyramid.workspace import Workspace, naming_file
from sensenet.directories import Marker, check_replaceable
from sensenet.errors import SensenetError
from sensenet.formats import FORMATS
from sensenet.formats.receipt import Receipt, check_export
from sensenet.formats.tfjs.files import MODEL_FILE
from sensenet.partial_files import remove, temporary_path

BUNDLE = "smbundle"
JAVASCRIPT = "tfjs"
# under this name of ours any model is an earlier one, whatever converter wrote it
EARLIER = Marker(MODEL_FILE, b"")
# all checks together, as far as they can be ended, and what a program may need before it computes
CHECK_SECONDS = 20.0
START_SECONDS = 10.0
# of a receipt what the document says: what one model and one machine give twice
LASTING = ("format", "consumer", "largest_difference", "moved_boxes", "agrees")


@contextmanager
def exports_beside(model: Any, workspace: Workspace, warn: Callable[[str], None]) -> Iterator[Path]:
    """Write the model as a bundle and for TensorFlow.js into a folder of the workspace, which goes with the body.

    They have their final names there. The body has to call `publish_bundle`; the model for TensorFlow.js gets its
    place when the body succeeds. None is there afterwards where TensorFlow.js cannot run the model.

    Args:
        warn: told of a model that TensorFlow.js cannot run.

    Raises:
        WorkspaceError: one cannot be written, or something else than an earlier one stands in its place.
    """
    bundle, javascript = workspace.final_bundle, workspace.final_javascript
    folder = temporary_path(workspace.root / "exports")
    new = folder / javascript.name
    try:
        with naming_file(bundle):
            folder.mkdir()
            model.save_bundle(folder / bundle.name)
        try:
            with naming_file(javascript):
                check_replaceable(javascript, EARLIER)
                FORMATS[JAVASCRIPT].write(model, new)
        except SensenetError as error:
            warn(f"warning: there is no TensorFlow.js model: {error}")
        yield folder
        remove(javascript)
        if new.exists():
            new.rename(javascript)
    finally:
        remove(folder)


def publish_bundle(folder: Path, workspace: Workspace) -> None:
    """Bring the bundle that `exports_beside` has written into `folder` to its place.

    Raises:
        WorkspaceError: something stands there that is no file.
    """
    with naming_file(workspace.final_bundle):
        (folder / workspace.final_bundle.name).replace(workspace.final_bundle)


def javascript_paths(workspace: Workspace) -> tuple[str | None, list[str] | None]:
    """The paths of the TensorFlow.js model and of its weights; None where there is none."""
    document = workspace.final_javascript / MODEL_FILE
    if not document.is_file():
        return None, None
    return str(document), sorted(map(str, workspace.final_javascript.glob("*.bin")))


def check_exports(
    model: Any, folder: Path, workspace: Workspace, warn: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A receipt of each export in `folder` (`sensenet.formats.receipt.Receipt`), by the path that it will have.

    What fails, or takes longer than the checks may, has one that no consumer gave.

    Args:
        warn: told of an export that cannot be tried, or that says something else than the model.
    """
    end = time.monotonic() + CHECK_SECONDS
    finals = {BUNDLE: workspace.final_bundle, JAVASCRIPT: workspace.final_javascript}
    return [
        _receipt(model, folder / final.name, to_format, final, end - time.monotonic(), warn).as_dict()
        for to_format, final in finals.items()
        if (folder / final.name).exists()
    ]


def lasting_report(receipts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a model's document says of its exports: nothing of clocks and paths, that its seed may give its bytes."""
    return [{key: receipt[key] for key in LASTING} for receipt in receipts]


def _receipt(
    model: Any, path: Path, to_format: str, final: Path, seconds: float, warn: Callable[[str], None]
) -> Receipt:
    untried = Receipt(to_format, os.fspath(final), None, 0, None, None, 0.0)
    if seconds <= 0:
        warn(f"warning: {final} was not tried: no time was left")
        return untried
    try:
        receipt = check_export(model, path, to_format, min(START_SECONDS, seconds), seconds)
    except SensenetError as error:
        reason = str(error).removeprefix(f"{path}: ")
        warn(f"warning: {final} cannot be tried: {reason}")
        return untried
    if receipt.consumer is not None and not receipt.agrees:
        warn(f"warning: {final} says something else than the model, as {receipt.consumer} runs it")
    return replace(receipt, path=os.fspath(final))

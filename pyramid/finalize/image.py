"""The final model of an image job: its own readout on its network (docs/training.md, "Finalizing")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyramid.errors import DataError, WorkspaceError
from pyramid.fields import Objective
from pyramid.finalize.readout import HOLDOUT_KEY, legacy_layers
from pyramid.images.origin import is_image_job
from pyramid.images.root import image_source, predict_files
from pyramid.images.rows import listed
from pyramid.settings.options import RootOptions
from pyramid.submodels.image_model import image_document
from pyramid.workspace import Submodel, Workspace, read_json
from sensenet.document.model import parse_model

IMAGES_AT_ONCE = 32


def image_job_to_finalize(job_id: str, workspace: Workspace) -> Submodel | None:
    """The job `job_id` where it is an image job, whose own readout the final model has; None where it is another.

    Raises:
        WorkspaceError: a fit info cannot be read.
    """
    asked = workspace.submodel(job_id)
    return asked if is_image_job(asked) else None


def image_only_document(
    image_job: Submodel, deepnet_version: str | None, wanted: bool | None
) -> dict[str, Any]:
    """The document of an image job; its holdout images stand in `HOLDOUT_KEY` without predictions.

    Args:
        deepnet_version: "alpha" writes legacy layers; None leaves it to the image job.
        wanted: true asks for the holdout images, false leaves them out; None takes them where they are.

    Raises:
        WorkspaceError: what the job left is missing, unreadable or does not fit; names the file.
        SettingsError: layers that "alpha" cannot say.
    """
    document = image_document(image_job)
    info = read_json(image_job.fit_info, "image_training")
    # a detector has no readout to say otherwise
    if (deepnet_version or info.get("deepnet_version")) == "alpha" and document["layers"]:
        document["layers"] = _legacy(document)
    held_out = info.get("holdout_images")
    if wanted and held_out is None:
        raise WorkspaceError(
            f"{image_job.fit_info} has no holdout_images: the image job was not asked for them with "
            "return_holdout_images"
        )
    return document if held_out is None or wanted is False else document | {HOLDOUT_KEY: held_out}


def predict_holdout(
    model: Any, held_out: Sequence[Sequence[Any]], objective: Objective, files: RootOptions
) -> list[list[Any]]:
    """[file, truth, prediction] of each [file, truth]: a class is its name, a number in the objective's units.

    Args:
        model: made of the final document.
        files: `image_root` is the directory of the files, and of those they lead to.

    Raises:
        DataError: files that cannot be read any more; names them.
    """
    (field,) = model.fields
    source = image_source(files)
    predictions: list[Any] = []
    problems: list[str] = []

    def predict(images: list[bytes]) -> Any:
        return model([[None] * field.index + [image] for image in images])

    for start in range(0, len(held_out), IMAGES_AT_ONCE):
        names = [file for file, _ in held_out[start : start + IMAGES_AT_ONCE]]
        outputs, wrong = predict_files(predict, names, source)
        problems += wrong
        if not wrong:
            predictions += [objective.said(output) for output in outputs]
    if problems:
        raise DataError(
            f"{len(problems)} of {len(held_out)} holdout images cannot be read for {HOLDOUT_KEY}:\n{listed(problems)}"
        )
    return [[file, truth, said] for (file, truth), said in zip(held_out, predictions, strict=True)]


def _legacy(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    spec = parse_model(document)
    return legacy_layers(spec.networks[0].layers, spec.input_size)

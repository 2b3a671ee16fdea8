"""The final model where an image is the only input: the image job's own readout on its network.

See docs/training.md, "Finalizing".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyramid.errors import DataError, WorkspaceError
from pyramid.fields import Objective
from pyramid.finalize.readout import legacy_layers
from pyramid.images.origin import finished_image_job, is_image_job
from pyramid.images.root import image_source, predict_files
from pyramid.images.rows import listed
from pyramid.settings.options import FinalOptions, RootOptions, TreeOptions
from pyramid.submodels.image_model import image_document
from pyramid.workspace import Submodel, Workspace, read_json
from sensenet.document.model import parse_model

HOLDOUT_KEY = "holdout_image_predictions"
IMAGES_AT_ONCE = 32


def image_job_to_finalize(options: FinalOptions, workspace: Workspace) -> Submodel | None:
    """The image job whose own readout is the final model; None where a readout on cached rows is.

    It is the job `job_id`, or, where an image is the only input and the job `job_id` takes no trees, the image job of
    the `base_image_network` and `image_training_type` that the options name.

    Raises:
        WorkspaceError: a fit info cannot be read.
    """
    asked = workspace.submodel(options.job_id)
    if is_image_job(asked):
        return asked
    is_only_input = len(options.fields.inputs) == len(options.fields.images) == 1
    if not is_only_input or _uses_trees(asked, options.trees):
        return None
    return finished_image_job(options.network, workspace)


def image_only_document(image_job: Submodel, options: FinalOptions) -> dict[str, Any]:
    """The document of an image job; its holdout images, if asked for, stand in `HOLDOUT_KEY` without predictions.

    Raises:
        WorkspaceError: what the job left is missing, unreadable or does not fit; names the file.
        SettingsError: layers that "alpha" cannot say.
    """
    document = image_document(image_job)
    info = read_json(image_job.fit_info, "image_training")
    if (options.deepnet_version or info.get("deepnet_version")) == "alpha":
        document["layers"] = _legacy(document)
    held_out = info.get("holdout_images")
    wanted = options.return_holdout_images is not False and held_out is not None
    if options.return_holdout_images and held_out is None:
        raise WorkspaceError(
            f"{image_job.fit_info} has no holdout_images: the image job was not asked for them with "
            "return_holdout_images"
        )
    return document | ({HOLDOUT_KEY: held_out} if wanted else {})


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
    (field,) = model.spec.preprocess
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


def _uses_trees(submodel: Submodel, options: TreeOptions) -> bool:
    if not submodel.fit_info.exists():
        return options.tree_embedding
    info = read_json(submodel.fit_info, "training")
    return isinstance(info, dict) and bool(info.get("uses_trees"))


def _legacy(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    spec = parse_model(document)
    return legacy_layers(spec.networks[0].layers, spec.input_size)

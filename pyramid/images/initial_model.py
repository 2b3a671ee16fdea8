"""Image networks that a job is given: those of earlier models, and what the job's settings make of any of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pyramid.errors import SettingsError, Violation, WorkspaceError
from pyramid.settings.options import NetworkOptions
from sensenet.document.file import read_document
from sensenet.document.image_network import ImageMetadata
from sensenet.document.model import ModelSpec, parse_model
from sensenet.errors import ModelFormatError

RESCALE_TYPE = "crop"  # where neither a job nor a network says how


def read_initial_model(path: str) -> ModelSpec:
    """The model in a document that has an image network.

    Raises:
        WorkspaceError: it cannot be read, is no model, or has no image network.
    """
    place = f"{path}, the initial_model,"
    try:
        model = parse_model(read_document(Path(path)))
    except OSError as error:
        raise WorkspaceError(f"{place} cannot be read: {error.strerror or error}") from error
    except ModelFormatError as error:
        raise WorkspaceError(f"{place} cannot be used: {error}") from error
    if model.image_network is None:
        raise WorkspaceError(f"{place} cannot be used: it has no image_network")
    return model


def rescale_type_of(options: NetworkOptions) -> str:
    """How the images of a job are brought to size: as it says, else as the `initial_model` has it, else cropped.

    Raises:
        WorkspaceError: the `initial_model` is asked and cannot be used.
    """
    if options.rescale_type is not None or options.initial_model is None:
        return options.rescale_type or RESCALE_TYPE
    network = read_initial_model(options.initial_model).image_network
    assert network is not None, "an initial model has one"
    return network.metadata.rescale_type or RESCALE_TYPE


def job_metadata(metadata: ImageMetadata, options: NetworkOptions) -> ImageMetadata:
    """What an image network expects of images once a job has its way; how many features that makes is left open.

    Raises:
        SettingsError: another size than that of the network's mean image.
    """
    width, height = (options.input_image_shape or (metadata.width, metadata.height))[:2]
    mean = metadata.mean_image
    if mean is not None and mean.ndim == 3 and mean.shape[:2] != (height, width):
        shape = [metadata.width, metadata.height, 3]
        message = f"expected {shape}, the shape of the network's mean_image"
        raise SettingsError([Violation("/input_image_shape", message)])
    return replace(
        metadata,
        width=width,
        height=height,
        rescale_type=options.rescale_type or metadata.rescale_type or RESCALE_TYPE,
        exif_rotation=options.exif_rotation,
        outputs=None,
    )

"""Where the image network of a job comes from, and what the job's settings make of it.

It goes by a name, or is that of an earlier model. `origin` adds what an image job has trained, for caching.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pyramid.errors import SettingsError, Violation, WorkspaceError
from pyramid.settings.options import NetworkOptions
from sensenet.document.file import read_document
from sensenet.document.image_network import ImageMetadata, ImageNetworkSpec, parse_image_network
from sensenet.document.model import ModelSpec, parse_model
from sensenet.errors import ModelFormatError
from sensenet.errors import SettingsError as UnknownNetworkError
from sensenet.layers import dump_layers, parse_layers
from sensenet.pretrained import image_network, pretrained_layers

RESCALE_TYPE = "crop"  # where neither a job nor a network says how
BOX_RESCALE_TYPE = "pad"  # of detectors, whatever is said: nothing is cut off or distorted


def network_to_train(options: NetworkOptions) -> tuple[ImageNetworkSpec, ModelSpec | None]:
    """The image network that an image job begins with, and the initial model that it is of, if there is one.

    Its layers hold arrays where it starts trained; its metadata are those of the job.

    Raises:
        SettingsError: an unknown network, a size that does not fit, a network without pretrained weights.
        WorkspaceError: an `initial_model` that cannot be used.
        sensenet.errors.WeightsError: pretrained weights that cannot be had; says what to do.
    """
    initial = None if options.initial_model is None else read_initial_model(options.initial_model)
    spec = _named(options) if initial is None else _of_model(initial, options)
    # as this job trains it, it is no longer of any published version
    return replace(spec, metadata=replace(job_metadata(spec.metadata, options), version=None)), initial


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


def job_metadata(metadata: ImageMetadata, options: NetworkOptions) -> ImageMetadata:
    """What an image network expects of images once a job has its way; how many features that makes is left open.

    Raises:
        SettingsError: another size than that of the network's mean image, or one that a detector cannot have.
    """
    width, height = (options.input_image_shape or (metadata.width, metadata.height))[:2]
    mean = metadata.mean_image
    if mean is not None and mean.ndim == 3 and mean.shape[:2] != (height, width):
        shape = [metadata.width, metadata.height, 3]
        message = f"expected {shape}, the shape of the network's mean_image"
        raise wrong_setting("input_image_shape", message)
    branches = metadata.outputs if isinstance(metadata.outputs, tuple) else None
    for branch in branches or ():
        if width % branch.strides or height % branch.strides:
            message = f"found {[width, height, 3]}, expected sides that {branch.strides} divides"
            raise wrong_setting("input_image_shape", message)
    return replace(
        metadata,
        width=width,
        height=height,
        rescale_type=BOX_RESCALE_TYPE
        if branches
        else options.rescale_type or metadata.rescale_type or RESCALE_TYPE,
        exif_rotation=options.exif_rotation,
        outputs=branches,
    )


def refuse_boxes(spec: ImageNetworkSpec, name: str | None) -> None:
    """Refuse a detector where features are wanted.

    Raises:
        SettingsError: it is one.
    """
    if spec.branches is not None:
        raise wrong_setting("base_image_network", f"{name} finds boxes and has no features")


def refuse_features(spec: ImageNetworkSpec, name: str | None) -> None:
    """Refuse a network without branches where boxes are to be found.

    Raises:
        SettingsError: it has none.
    """
    if spec.branches is None:
        raise wrong_setting("base_image_network", f"{name} finds no boxes")


@contextmanager
def refusing(key: str) -> Iterator[None]:
    """Turn what sensenet finds wrong with a network into a violation of a setting.

    Raises:
        SettingsError: the body raised an error about a network.
    """
    try:
        yield
    except (ModelFormatError, UnknownNetworkError) as error:
        raise wrong_setting(key, str(error)) from error


def wrong_setting(key: str, message: str) -> SettingsError:
    """The error of one setting."""
    return SettingsError([Violation(f"/{key}", message)])


def _named(options: NetworkOptions) -> ImageNetworkSpec:
    name = options.base_image_network
    assert name is not None, "the schema asks for it"
    width, height = (options.input_image_shape or (None, None))[:2]
    with refusing("input_image_shape"):
        spec = parse_image_network(image_network(name, width, height))
    if not options.training_type.starts_trained:
        return spec
    with refusing("image_training_type"):
        return replace(spec, layers=pretrained_layers(name).image)


def _of_model(model: ModelSpec, options: NetworkOptions) -> ImageNetworkSpec:
    """The image network of a model; its topology alone where it is to be drawn anew."""
    spec = model.image_network
    assert spec is not None, "an initial model has one"
    if options.training_type.starts_trained:
        return spec
    return replace(spec, layers=parse_layers(dump_layers(spec.layers, short=True)))

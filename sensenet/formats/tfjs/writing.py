"""A model as a directory that TensorFlow.js reads, alone or with a page around it."""

from __future__ import annotations

from sensenet.detection import Suppression
from sensenet.directories import Marker, write_directory
from sensenet.errors import SettingsError
from sensenet.formats.base import Consumer, Format, PathLike
from sensenet.formats.exported import Exportable, exported
from sensenet.formats.tfjs.boxes import kept_boxes_function
from sensenet.formats.tfjs.files import MODEL_BEGINNING, MODEL_FILE, model_files
from sensenet.formats.tfjs.node import has_node, run_node
from sensenet.formats.tfjs.page_files import page_files

# documents of models are called model.json, too
MARKER = Marker(MODEL_FILE, MODEL_BEGINNING)


def write_tfjs(model: Exportable, path: PathLike, page: bool = False, runtime: PathLike | None = None) -> str:
    """Write a model as a directory of `model.json` and weights, see docs/tensorflow-js.md.

    Args:
        model: a `Deepnet` or a `Detector`.
        path: the directory, which is written whole; one that such a model stands in is replaced.
        page: whether to add `index.html`, a page that tries the model in a browser.
        runtime: of a page, the TensorFlow.js that it runs: see `page_files`.

    Returns:
        The path of the directory.

    Raises:
        SettingsError: TensorFlow.js lacks an operation of the model, a page has no runtime, or a runtime no page.
        ModelFormatError: the model came from a bundle of the published package, which holds a finished function.
        OSError: something else stands there, or a file cannot be written.
    """
    if runtime is not None and not page:
        raise SettingsError("runtime: it is for a page, which was not asked for")
    around = page_files(runtime) if page else {}
    made = exported(model)
    function, rule = made.function, made.facts["detection"]
    if rule is not None:
        function = kept_boxes_function(function, Suppression(**rule))
    return write_directory(path, {**model_files(function, made.facts), **around}, MARKER)


TFJS = Format(
    write_tfjs,
    options={"page": (True, False), "runtime": ()},
    consumers=(Consumer("tensorflow.js in node", 3.0, has_node, run_node, can_be_ended=True),),
    keeps_boxes=True,
)

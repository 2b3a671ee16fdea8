"""Bundles that try to read or write files, to end the process, to hang it, or to take its memory.

Each attack makes a bundle that gives the first three columns of its inputs, or changes such a one, and may use two
paths: `secret`, a file whose content no prediction and no message may show, and `target`, a file that must never be
there.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import model_documents as documents
import numpy as np
import orjson
import tensorflow as tf
from tensorflow.core.framework import function_pb2, graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

Files = dict[str, bytes]
Attack = Callable[[Files, Path, Path], Files]
SAVED_MODEL, SETTINGS = "saved_model.pb", "assets/settings.json"
SIGNATURES = ("serving_default", "preprocessed")
COLUMNS = documents.COLUMNS


# what a function may do: each takes the inputs and gives what is added to their first columns


def nothing(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    return 0.0


def _write(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    tf.io.write_file(str(target), "x")
    return 0.0


def _read(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    return tf.cast(tf.io.decode_raw(tf.io.read_file(str(secret)), tf.uint8)[0], tf.float32)


def _immutable_constant(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    found = tf.raw_ops.ImmutableConst(dtype=tf.uint8, shape=(6,), memory_region_name=str(secret))
    return tf.cast(found[0], tf.float32)


def _abort(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    tf.raw_ops.Abort(error_msg="the end", exit_without_error=True)
    return 0.0


def _write_in_loop(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    def body(i: tf.Tensor) -> list[tf.Tensor]:
        tf.io.write_file(str(target), "x")
        return [i + 1]

    tf.while_loop(lambda i: i < 3, body, [tf.constant(0)])
    return 0.0


def _write_in_branch(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    tf.cond(tf.size(inputs) > 0, lambda: tf.io.write_file(str(target), "x"), tf.no_op)
    return 0.0


def _print(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    tf.print("x", output_stream=f"file://{target}")
    return 0.0


def _list_files(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    return tf.cast(tf.size(tf.io.matching_files(f"{secret.parent}/*")), tf.float32)


def _restore(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    return tf.raw_ops.RestoreV2(
        prefix=str(secret), tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    )[0]


def _python(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    return tf.py_function(lambda: float(len(secret.read_bytes())), [], tf.float32)


def _debug(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    return tf.raw_ops.DebugIdentityV2(
        input=inputs[:, :3], debug_urls=[f"file://{target}"], tensor_debug_mode=2, output_slot=0
    )


def _queue(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    queue = tf.raw_ops.FIFOQueueV2(component_types=[tf.float32])
    return tf.raw_ops.QueueDequeueV2(handle=queue, component_types=[tf.float32])[0]


def _endless_loop(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    return tf.while_loop(lambda x: x > -1.0, lambda x: [x * 0.5], [tf.constant(1.0)])[0]


def _nan_weights(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    return tf.constant([float("nan"), 1.0, 1.0])


def _wide(target: Path, secret: Path, inputs: tf.Tensor) -> Any:
    return inputs[:, :1] * tf.ones((1, 4))


def saving(extra: Callable[..., Any]) -> Attack:
    """Replace the functions by one that gives the inputs' first columns and what `extra` gives."""

    def attack(files: Files, target: Path, secret: Path) -> Files:
        @tf.function(input_signature=[tf.TensorSpec((None, COLUMNS), tf.float32, name="inputs")])
        def evil(inputs: tf.Tensor) -> tf.Tensor:
            added = extra(target, secret, inputs)
            return added if extra is _wide else inputs[:, :3] + added

        return {**_saved(tf.Module(), dict.fromkeys(SIGNATURES, evil)), SETTINGS: files[SETTINGS]}

    return attack


def _saved(module: tf.Module, signatures: Mapping[str, Any]) -> Files:
    folder = f"ram://hostile-{id(module)}"
    try:
        tf.saved_model.save(module, folder, signatures=signatures)
        walk = tf.io.gfile.walk(folder)
        paths = [f"{directory.rstrip('/')}/{name}" for directory, _, names in walk for name in names]
        return {path.removeprefix(f"{folder}/"): _content(path) for path in paths}
    finally:
        tf.io.gfile.rmtree(folder)


def _content(path: str) -> bytes:
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


# what may be done to a saved model as a protocol buffer


def editing(edit: Callable[[Any, Path, Path], None]) -> Attack:
    """Change the graph of the good bundle."""

    @functools.wraps(edit)
    def attack(files: Files, target: Path, secret: Path) -> Files:
        saved = saved_model_pb2.SavedModel.FromString(files[SAVED_MODEL])
        edit(saved.meta_graphs[0], target, secret)
        return {**files, SAVED_MODEL: saved.SerializeToString()}

    return attack


def _writer(target: Path, **options: Any) -> Any:
    """A function that writes `target`."""

    @tf.function(input_signature=[tf.TensorSpec((None, COLUMNS), tf.float32, name="inputs")], **options)
    def write(inputs: tf.Tensor) -> tf.Tensor:
        tf.io.write_file(str(target), "x")
        return inputs[:, :3]

    return write


def _called_alone(target: Path) -> Any:
    """A function without inputs that writes `target`."""

    @tf.function(input_signature=[])
    def write() -> tf.Tensor:
        tf.io.write_file(str(target), "x")
        return tf.constant(1.0)

    write.get_concrete_function()
    return write


def _add_writer(meta: Any, name: str, target: Path) -> None:
    body = meta.graph_def.library.function.add()
    body.CopyFrom(
        function_pb2.FunctionDef.FromString(
            _writer(target).get_concrete_function().function_def.SerializeToString()
        )
    )
    body.signature.name = name


def _resaved(files: Files, module: tf.Module, function: Any = None) -> Files:
    """A good bundle with the objects of `module`."""
    if function is None:
        function = tf.function(
            lambda inputs: inputs[:, :3] + 0.0,
            input_signature=[tf.TensorSpec((None, COLUMNS), tf.float32, name="inputs")],
        )
    return {**_saved(module, dict.fromkeys(SIGNATURES, function)), SETTINGS: files[SETTINGS]}


def _body(meta: Any) -> Any:
    """The body of what the signature `preprocessed` calls in the end."""
    bodies = {body.signature.name: body for body in meta.graph_def.library.function}
    nodes = {node.name: node for node in meta.graph_def.node}
    output = next(iter(meta.signature_def["preprocessed"].outputs.values())).name
    node = nodes[output.split(":")[0]]
    while "f" in node.attr:
        body = bodies[node.attr["f"].func.name]
        calls = [inner for inner in body.node_def if "f" in inner.attr]
        if not calls:
            return body
        node = calls[0]
    raise AssertionError("the signature calls a function")


def _child_function(name: str) -> Attack:
    """A function that writes, as a child of the root that TensorFlow's loader calls by its name."""

    def attack(files: Files, target: Path, secret: Path) -> Files:
        module = tf.Module()
        module.evil = _called_alone(target)
        return editing(rename)(_resaved(files, module), target, secret)

    def rename(meta: Any, target: Path, secret: Path) -> None:
        (child,) = [child for child in meta.object_graph_def.nodes[0].children if child.local_name == "evil"]
        child.local_name = name

    return attack


def _registered_table(files: Files, target: Path, secret: Path) -> Files:
    """A table that passes for an ordinary object, and whose initialiser writes."""

    class WithTable(tf.Module):
        def __init__(self) -> None:
            self.evil = _called_alone(target)
            where = tf.lookup.TextFileIndex
            initializer = tf.lookup.TextFileInitializer(
                str(secret), tf.string, where.WHOLE_LINE, tf.int64, where.LINE_NUMBER
            )
            self.table = tf.lookup.StaticHashTable(initializer, 0)

    def disguise(meta: Any, target: Path, secret: Path) -> None:
        nodes = meta.object_graph_def.nodes
        children = {child.local_name: child.node_id for child in nodes[0].children}
        table = nodes[children["table"]]
        table.user_object.identifier = "_generic_user_object"
        table.registered_name = "tf.StaticHashTable"
        for child in table.children:
            if child.local_name == "_initialize":
                child.node_id = children["evil"]

    return editing(disguise)(_resaved(files, WithTable()), target, secret)


def _table(files: Files, target: Path, secret: Path) -> Files:
    class WithTable(tf.Module):
        def __init__(self) -> None:
            where = tf.lookup.TextFileIndex
            initializer = tf.lookup.TextFileInitializer(
                str(secret), tf.string, where.WHOLE_LINE, tf.int64, where.LINE_NUMBER
            )
            self.table = tf.lookup.StaticHashTable(initializer, 0)

    return _resaved(files, WithTable())


def _twin(files: Files, target: Path, secret: Path) -> Files:
    """A harmless function, and one that TensorFlow takes in its place where there is no GPU."""

    def attributes(device: str) -> dict[str, Any]:
        return {"experimental_attributes": {"api_implements": "evil", "api_preferred_device": device}}

    @tf.function(
        input_signature=[tf.TensorSpec((None, COLUMNS), tf.float32, name="inputs")], **attributes("GPU")
    )
    def harmless(inputs: tf.Tensor) -> tf.Tensor:
        return inputs[:, :3] + 0.0

    module = tf.Module()
    module.twin = _writer(target, **attributes("CPU"))
    module.twin.get_concrete_function()
    outer = tf.function(
        lambda inputs: harmless(inputs) + 0.0,
        input_signature=[tf.TensorSpec((None, COLUMNS), tf.float32, name="inputs")],
    )
    return _resaved(files, module, outer)


def _registered_saver(meta: Any, target: Path, secret: Path) -> None:
    meta.object_graph_def.nodes[0].registered_saver = "tf.StaticHashTable"


def _saveable(meta: Any, target: Path, secret: Path) -> None:
    meta.object_graph_def.nodes[0].saveable_objects["evil"].save_function = 1


def _initialising(meta: Any, target: Path, secret: Path) -> None:
    _add_writer(meta, "__inference_evil_2", target)
    constant = meta.graph_def.node.add(name="evil_input", op="Const")
    constant.attr["dtype"].type = 1
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.zeros((1, COLUMNS), np.float32)))
    node = meta.graph_def.node.add(name="evil_init", op="StatefulPartitionedCall", input=["evil_input"])
    node.attr["f"].func.name = "__inference_evil_2"
    node.attr["Tout"].list.type.append(1)
    node.attr["Tin"].list.type.append(1)
    signature = meta.signature_def["__saved_model_init_op"]
    signature.outputs["__saved_model_init_op"].name = "evil_init"
    meta.collection_def["saved_model_main_op"].node_list.value.append("evil_init")


def _shadowing(meta: Any, target: Path, secret: Path) -> None:
    _add_writer(meta, "NoOp", target)
    _body(meta).node_def.add(name="shadow", op="NoOp")
    _body(meta).control_ret["shadow"] = "shadow"
    _body(meta).signature.control_output.append("shadow")
    _body(meta).node_def[-2].input.append("^shadow")


def _asset(meta: Any, target: Path, secret: Path) -> None:
    meta.asset_file_def.add(filename=f"../../../../../../../..{secret}").tensor_info.name = "Const:0"
    objects = meta.object_graph_def
    objects.nodes[0].children.add(node_id=len(objects.nodes), local_name="asset")
    objects.nodes.add().asset.asset_file_def_index = 0


def _gradient(meta: Any, target: Path, secret: Path) -> None:
    body = _body(meta)
    _add_writer(meta, "__inference_gradient_1", target)
    body.node_def[-1].attr["_gradient_op_type"].s = b"CustomGradient-1"
    meta.graph_def.library.gradient.add(
        function_name=body.signature.name, gradient_func="__inference_gradient_1"
    )


def _recursion(meta: Any, target: Path, secret: Path) -> None:
    body = _body(meta)
    call = body.node_def.add(name="again", op="PartitionedCall", input=[body.signature.input_arg[0].name])
    call.attr["f"].func.name = body.signature.name
    call.attr["Tin"].list.type.append(1)
    call.attr["Tout"].list.type.append(1)
    body.ret[body.signature.output_arg[0].name] = "again:output:0"


def _doubling(meta: Any, target: Path, secret: Path) -> None:
    """Fifty functions, each of which calls the next one twice."""
    body = _body(meta)
    for level in range(50):
        function = meta.graph_def.library.function.add()
        function.signature.name = f"level_{level}"
        function.signature.input_arg.add(name="x", type=1)
        function.signature.output_arg.add(name="y", type=1)
        source = "x"
        for number in range(2):
            operation = "PartitionedCall" if level < 49 else "Identity"
            node = function.node_def.add(name=f"call_{number}", op=operation, input=[source])
            if level < 49:
                node.attr["f"].func.name = f"level_{level + 1}"
                node.attr["Tin"].list.type.append(1)
                node.attr["Tout"].list.type.append(1)
            else:
                node.attr["T"].type = 1
            source = f"call_{number}:output:0"
        function.ret["y"] = source
    output = body.signature.output_arg[0].name
    call = body.node_def.add(name="many", op="PartitionedCall", input=[body.ret[output]])
    call.attr["f"].func.name = "level_0"
    call.attr["Tin"].list.type.append(1)
    call.attr["Tout"].list.type.append(1)
    body.ret[output] = "many:output:0"


def _great_constant(meta: Any, target: Path, secret: Path) -> None:
    constant = next(node for node in _body(meta).node_def if node.op == "Const")
    tensor = constant.attr["value"].tensor
    tensor.Clear()
    tensor.dtype = 1
    tensor.tensor_shape.dim.add(size=10**11)
    tensor.float_val.append(1.0)


def _elsewhere(meta: Any, target: Path, secret: Path) -> None:
    for node in (*meta.graph_def.node, *_body(meta).node_def):
        node.device = "/job:evil/replica:0/task:0/device:CPU:0"


def _no_graph(meta: Any, target: Path, secret: Path) -> None:
    meta.graph_def.CopyFrom(graph_pb2.GraphDef())


def _promising_checkpoint(files: Files, target: Path, secret: Path) -> Files:
    """A variable whose shape in the checkpoint's index is far larger than the checkpoint."""

    class Weighted(tf.Module):
        def __init__(self) -> None:
            self.weights = tf.Variable(np.full((130, 3), 0.5, np.float32))

    module = Weighted()

    @tf.function(input_signature=[tf.TensorSpec((None, COLUMNS), tf.float32, name="inputs")])
    def weighted(inputs: tf.Tensor) -> tf.Tensor:
        return inputs[:, :3] + module.weights[0]

    saved = _saved(module, dict.fromkeys(SIGNATURES, weighted))
    # a shape is {2: {1: size}} for each dimension, sizes as varints: 130 becomes 16,383 in as many bytes
    old, new = b"\x12\x03\x08\x82\x01", b"\x12\x03\x08\xff\x7f"
    index = saved["variables/variables.index"]
    assert index.count(old) == 1
    saved["variables/variables.index"] = _with_checksum(index.replace(old, new))
    return {**saved, SETTINGS: files[SETTINGS]}


def _with_checksum(table: bytes) -> bytes:
    """A table of one block with the checksum that belongs to it.

    The block's end is where the next one begins: the first number in the last 48 bytes. TFRecords have the same
    checksum, behind the data.
    """
    end, shift = 0, 0
    for byte in table[-48:]:
        end |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record"
        with tf.io.TFRecordWriter(str(record)) as writer:
            writer.write(table[: end - 4])
        return table[: end - 4] + record.read_bytes()[-4:] + table[end:]


def _endless_raw_function(files: Files, target: Path, secret: Path) -> Files:
    """Only a function of raw values, as in bundles of the published package."""

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="numeric_inputs")])
    def serve(numeric_inputs: tf.Tensor) -> tf.Tensor:
        return numeric_inputs + _endless_loop(target, secret, numeric_inputs)

    settings = {**orjson.loads(files[SETTINGS]), "_output_exposition": None}
    saved = _saved(tf.Module(), {"serving_default": serve})
    return {**saved, SETTINGS: orjson.dumps(settings)}


def _settings(**changes: Any) -> Attack:
    def attack(files: Files, target: Path, secret: Path) -> Files:
        return {**files, SETTINGS: orjson.dumps({**orjson.loads(files[SETTINGS]), **changes})}

    return attack


ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {
        "write a file": saving(_write),
        "read a file": saving(_read),
        "map a file as a constant": saving(_immutable_constant),
        "abort": saving(_abort),
        "write a file in a loop": saving(_write_in_loop),
        "write a file in a branch": saving(_write_in_branch),
        "print into a file": saving(_print),
        "list files": saving(_list_files),
        "restore a checkpoint": saving(_restore),
        "call Python": saving(_python),
        "debug into a file": saving(_debug),
        "wait for a queue": saving(_queue),
        "loop for ever": saving(_endless_loop),
        "loop for ever on raw values": _endless_raw_function,
        "weights that are not numbers": saving(_nan_weights),
        "too many outputs": saving(_wide),
        "a table of a file": _table,
        "a table in disguise": _registered_table,
        "a registered saver": editing(_registered_saver),
        "a saveable object": editing(_saveable),
        "gather saveables": _child_function("_gather_saveables_for_checkpoint"),
        "initialise a trackable": _child_function("_maybe_initialize_trackable"),
        "list children": _child_function("_trackable_children"),
        "deserialise": _child_function("_deserialize_from_proto"),
        "restore a resource": _child_function("_restore_resource"),
        "initialise": _child_function("_initialize"),
        "a twin implementation": _twin,
        "an initialising signature": editing(_initialising),
        "a function with an operation's name": editing(_shadowing),
        "an asset elsewhere": editing(_asset),
        "a gradient function": editing(_gradient),
        "a function that calls itself": editing(_recursion),
        "functions that call the next one twice": editing(_doubling),
        "a constant of 400 GB": editing(_great_constant),
        "another machine's device": editing(_elsewhere),
        "no graph": editing(_no_graph),
        "a checkpoint that promises more": _promising_checkpoint,
        "more classes than outputs": _settings(_output_exposition=None, _classes=["a", "b", "c", "d"]),
        "boxes of a deepnet": _settings(_output_exposition={"type": "bounding_box", "values": ["a"]}),
        "settings of lists": _settings(_preprocessors=[[[[]]]] * 1000),
    }
)

"""The operations that TensorFlow.js 4.22 has, and what is said of some that it has not, or has wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from sensenet.errors import SettingsError

# fmt: off
OPERATIONS = frozenset({
    "Abs", "Acos", "Acosh", "Add", "AddN", "AddV2", "All", "Any", "ArgMax", "ArgMin", "Asin", "Asinh",
    "Atan", "Atan2", "Atanh", "AvgPool", "AvgPool3D", "BatchMatMul", "BatchMatMulV2", "BatchToSpaceND",
    "BiasAdd", "BroadcastArgs", "BroadcastTo", "Cast", "Ceil", "ClipByValue", "Concat", "ConcatV2",
    "Const", "Conv1D", "Conv2D", "Conv2DBackpropInput", "Conv3D", "Cos", "Cosh", "CropAndResize",
    "DepthToSpace", "DepthwiseConv2d", "DepthwiseConv2dNative", "Dilation2D", "Div", "DivNoNan",
    "Einsum", "Elu", "Enter", "Equal", "Erf", "EuclideanNorm", "Exit", "Exp", "ExpandDims", "Expm1",
    "Fill", "Floor", "FloorDiv", "FloorMod", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3",
    "Gather", "GatherNd", "GatherV2", "Greater", "GreaterEqual", "Identity", "IdentityN", "IsFinite",
    "IsInf", "IsNan", "LRN", "LeakyRelu", "Less", "LessEqual", "LinSpace", "Log", "Log1p", "LogSoftmax",
    "LogicalAnd", "LogicalNot", "LogicalOr", "LoopCond", "MatMul", "Max", "MaxPool", "MaxPool3D",
    "Maximum", "Mean", "Merge", "Min", "Minimum", "MirrorPad", "Mod", "Mul", "Neg", "NextIteration",
    "NonMaxSuppressionV2", "NonMaxSuppressionV3", "NonMaxSuppressionV4", "NotEqual", "OneHot",
    "OnesLike", "Pack", "Pad", "PadV2", "Placeholder", "Pow", "Prelu", "Prod", "Range", "Rank",
    "RealDiv", "Reciprocal", "Relu", "Relu6", "Reshape", "ResizeBilinear", "ResizeNearestNeighbor",
    "Reverse", "ReverseV2", "Round", "Rsqrt", "ScatterNd", "Select", "SelectV2", "Selu", "Shape",
    "ShapeN", "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Slice", "Softmax", "Softplus",
    "SpaceToBatchND", "Split", "SplitV", "Sqrt", "Square", "SquaredDifference", "Squeeze",
    "StopGradient", "StridedSlice", "Sub", "Sum", "Switch", "Tan", "Tanh", "TensorListFromTensor",
    "TensorListGetItem", "TensorListLength", "TensorListReserve", "TensorListSetItem",
    "TensorListStack", "Tile", "TopKV2", "Transpose", "Unpack", "Where", "ZerosLike",
})
"""Those that give what TensorFlow gives, as the package's lists of operations and its executors have them."""
# fmt: on

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "CombinedNonMaxSuppression": "it has NonMaxSuppressionV3 and V4 only",
        "Cumsum": "it takes a last axis that is given as -1 for another one",
        "MatrixBandPart": "its answer is wrong there",
        "NonMaxSuppressionV5": "its answer is wrong there where it is padded",
        "ResizeArea": "it resizes bilinearly or to nearest neighbours",
        "ResizeBicubic": "it resizes bilinearly or to nearest neighbours",
        "Rint": "it has Round, which rounds alike",
        "StatefulPartitionedCall": "it runs no Python and keeps no state",
    }
)
"""Operation -> why it cannot be used, or what can be in its place."""


def check_operations(used: Iterable[str]) -> None:
    """Refuse a graph that uses operations which TensorFlow.js lacks.

    Raises:
        SettingsError: names all of them, and why.
    """
    missing = sorted(set(used) - OPERATIONS)
    if missing:
        named = "; ".join(f"{name} ({REASONS[name]})" if name in REASONS else name for name in missing)
        raise SettingsError(f"to_format: TensorFlow.js lacks operations that this model needs: {named}")

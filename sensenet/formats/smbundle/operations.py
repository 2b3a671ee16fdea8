"""The operations that a bundle's predictions may use. What is not here is refused, whatever it is.

None of them touches files, devices or the process, calls Python, or keeps anything from one call to the next.
"""

from __future__ import annotations

LOOPS = frozenset({"StatelessWhile", "While"})

# fmt: off
OURS = frozenset({
    "Abs", "AddN", "AddV2", "ArgMax", "AvgPool", "BiasAdd", "Cast", "ConcatV2", "Const", "Conv2D",
    "Cumsum", "DepthwiseConv2dNative", "DivNoNan", "Elu", "Equal", "Erfc", "Exp",
    "ExpandDims", "Expm1", "GatherV2", "Greater", "GreaterEqual", "Identity", "IdentityN",
    "IsNan", "LeakyRelu", "Less", "LessEqual", "LogSoftmax", "LogicalAnd", "MatMul", "Max", "MaxPool",
    "Maximum", "Mean", "Minimum", "Mul", "Neg", "NonMaxSuppressionV3", "Pack", "Pad",
    "PartitionedCall", "Placeholder", "Pow", "Prod", "Range", "RealDiv", "Relu", "Relu6", "Reshape",
    "ResizeBilinear", "ResizeNearestNeighbor", "Round", "SelectV2", "Selu", "Shape", "Sigmoid", "Softmax",
    "Softplus", "Softsign", "Sqrt", "Square", "Squeeze", "StatelessWhile", "StridedSlice", "Sub", "Sum",
    "Tanh", "TensorListFromTensor", "TensorListGetItem", "TensorListReserve", "TensorListSetItem",
    "TensorListStack", "TopKV2", "Transpose", "Unpack", "Where", "ZerosLike",
})
"""Those of our own bundles: of every layer type, activation, output and way to pass images."""

PUBLISHED = frozenset({
    "AddN", "AddV2", "All", "Any", "ArgMax", "BiasAdd", "Cast", "Ceil", "ConcatV2", "Const", "Conv2D",
    "DepthwiseConv2dNative", "Elu", "Equal", "Erf", "Exp", "ExpandDims", "Fill", "FloorDiv",
    "FusedBatchNormV3", "GatherV2", "Greater", "GreaterEqual", "Identity", "IdentityN", "If", "LeakyRelu",
    "Less", "LessEqual", "LogSoftmax", "LogicalAnd", "LogicalNot", "MatMul", "Max", "MaxPool", "Maximum",
    "Mean", "Min", "Minimum", "Mul", "NoOp", "NotEqual", "Pack", "Pad", "PadV2", "PartitionedCall",
    "Placeholder", "RandomUniform", "Range", "ReadVariableOp", "RealDiv", "Relu", "Relu6", "Reshape",
    "ResizeBilinear", "ResizeNearestNeighbor", "ReverseV2", "Round", "Rsqrt", "Select", "Selu", "Shape",
    "Sigmoid", "Sign", "Size", "Slice", "Softmax", "Softplus", "Softsign", "Split", "SplitV",
    "StatefulPartitionedCall", "StatelessIf", "StatelessWhile", "StridedSlice", "Sub", "Sum", "Tanh",
    "Tile", "TopKV2", "Transpose", "VarHandleOp",
})
"""Those of the published package's bundles (bigml-sensenet 0.7.5 on TensorFlow 2.16), collected in the same way."""

OTHER_VERSIONS = frozenset({
    "BatchToSpaceND", "CombinedNonMaxSuppression", "EnsureShape", "Floor", "FusedBatchNorm",
    "FusedBatchNormV2", "Log", "Log1p", "NonMaxSuppressionV4", "NonMaxSuppressionV5", "OneHot",
    "SpaceToBatchND", "SquaredDifference", "StopGradient", "While",
})
"""What other versions of TensorFlow, Keras and this package make of the same layers and fields."""
# fmt: on

OPERATIONS = OURS | PUBLISHED | OTHER_VERSIONS

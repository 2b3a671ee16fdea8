"""TensorFlow.js graph models: a directory of `model.json` and weights, for browsers and Node, and a page around it."""

// Answers requests with TensorFlow.js: node predict.js FILE_OF_TENSORFLOW_JS
// A request is a line of JSON on stdin, {model, inputs: {name: {shape, data}}}: the path of a model.json, and float32
// numbers in base64. The answer is a line on stdout: {outputs: {name: {shape, dtype, data}}}, or {error}.
"use strict";
const fs = require("fs");
const path = require("path");
const readline = require("readline");

// nothing but answers goes to stdout
console.log = console.info = console.warn = console.error;
const tf = require(path.resolve(process.argv[2]));

const models = new Map();

/** What the loader of models would fetch, from files. */
function artifacts(file) {
  const document = JSON.parse(fs.readFileSync(file, "utf8"));
  const groups = document.weightsManifest;
  const read = (name) => fs.readFileSync(path.join(path.dirname(file), name));
  const weights = Buffer.concat(groups.flatMap((group) => group.paths.map(read)));
  return {
    ...document,
    weightSpecs: groups.flatMap((group) => group.weights),
    weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length),
  };
}

async function load(file) {
  if (!models.has(file)) {
    models.set(file, await tf.loadGraphModel({ load: async () => artifacts(file) }));
  }
  return models.get(file);
}

function floats(text) {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

async function answer(request) {
  const model = await load(request.model);
  const inputs = {};
  let tensors = {};
  try {
    for (const [name, { shape, data }] of Object.entries(request.inputs)) {
      inputs[name] = tf.tensor(floats(data), shape, "float32");
    }
    tensors = await model.predictAsync(inputs);
    const outputs = {};
    for (const [name, tensor] of Object.entries(tensors)) {
      const values = await tensor.data();
      const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
      outputs[name] = { shape: tensor.shape, dtype: tensor.dtype, data: bytes.toString("base64") };
    }
    return { outputs };
  } finally {
    tf.dispose([inputs, tensors]);
  }
}

async function main() {
  await tf.setBackend("cpu");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const reply = await answer(JSON.parse(line)).catch((error) => ({ error: String(error) }));
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

main();

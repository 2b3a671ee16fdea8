// How long TensorFlow.js takes for one image: in Node as node tfjs_latency.js NODE_MODULES BACKEND REQUESTS, in a page by
// latency(). REQUESTS is a JSON list of {model, pixels, shape, repeats, seconds}: directories of models, files of uint8.
"use strict";

/**
 * The median of at most `repeats` predictions that together begin within `seconds`; one before them is not counted.
 * @returns {Promise<number>} milliseconds
 */
async function latency(tf, model, bytes, { shape, repeats, seconds }) {
  const pixels = tf.tensor(Float32Array.from(bytes), shape);
  const taken = [];
  const end = performance.now() + 1000 * seconds;
  while (taken.length < 2 || (taken.length <= repeats && performance.now() < end)) {
    const begun = performance.now();
    const outputs = await model.predictAsync(pixels);
    for (const tensor of outputs instanceof tf.Tensor ? [outputs] : Object.values(outputs)) await tensor.data();
    taken.push(performance.now() - begun);
    tf.dispose(outputs);
  }
  pixels.dispose();
  const counted = taken.slice(1).sort((a, b) => a - b);
  return counted[Math.floor(counted.length / 2)];
}

/** `latency`, or as a text why there is none; the model is gone afterwards. */
function latencyOrReason(tf, model, bytes, request) {
  return latency(tf, model, bytes, request).catch((error) => error.message).finally(() => model.dispose());
}

async function loadFromFiles(tf, folder) {
  const fs = require("fs");
  const document = JSON.parse(fs.readFileSync(`${folder}/model.json`, "utf8"));
  const groups = document.weightsManifest;
  const bytes = Buffer.concat(groups.flatMap(({ paths }) => paths.map((name) => fs.readFileSync(`${folder}/${name}`))));
  const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const weightSpecs = groups.flatMap(({ weights }) => weights);
  return tf.loadGraphModel({ load: async () => ({ ...document, weightSpecs, weightData }) });
}

async function main(modules, backend, requests) {
  const answer = console.log;
  console.log = console.info = console.warn = console.error;
  const tf = require(`${modules}/@tensorflow/tfjs`);
  if (backend === "wasm") {
    require(`${modules}/@tensorflow/tfjs-backend-wasm`).setWasmPaths(`${modules}/@tensorflow/tfjs-backend-wasm/dist/`);
  }
  await tf.setBackend(backend);
  for (const request of JSON.parse(requests)) {
    const bytes = require("fs").readFileSync(request.pixels);
    answer(JSON.stringify(await latencyOrReason(tf, await loadFromFiles(tf, request.model), bytes, request)));
  }
}

if (typeof window === "undefined") main(...process.argv.slice(2));

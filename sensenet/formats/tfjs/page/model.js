// The model: loading it, and asking it.

const NUMBERS = "numeric_inputs";
const PIXELS = "image_pixel_inputs";

/**
 * Load a model.
 * @param {string} url of its model.json
 * @param {(share: number) => void} onProgress is told how much has come, 0 to 1
 * @returns {Promise<{facts: object, predict: (values: Map) => Promise<object>}>} predict takes the value of each
 *   field: a number (NaN: missing; of a category its position, -1: missing), or ImageData; it gives plain arrays.
 */
export async function loadModel(url, onProgress) {
  await tf.ready();
  const graph = await tf.loadGraphModel(url, { onProgress, fetchFunc: fetchWhole });
  const facts = graph.metadata?.sensenet;
  if (facts === undefined) throw new Error(`${url} says nothing of its fields: it was written by another program`);
  await chooseBackend(facts);
  return { facts, predict: (values) => predict(graph, facts, values) };
}

/** `fetch`, of which TensorFlow.js would take the page of an error for weights. */
async function fetchWhole(...request) {
  const response = await fetch(...request);
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${response.statusText}`);
  return response;
}

/** The graphics chip for images; the processor for tables, where it is quicker and forests decide by the last bit. */
async function chooseBackend(facts) {
  const wanted = facts.image !== null && tf.findBackendFactory("webgl") && tf.env().getBool("HAS_WEBGL");
  // many phones compute in 16 bits, in which positions of pixels are not whole
  if (wanted && tf.env().getBool("WEBGL_RENDER_FLOAT32_ENABLED") && (await tf.setBackend("webgl"))) return;
  await tf.setBackend("cpu");
}

async function predict(graph, facts, values) {
  const inputs = tf.tidy(() => makeInputs(facts, values));
  let outputs = {};
  try {
    outputs = await graph.predictAsync(inputs);
    const answer = {};
    for (const [name, tensor] of Object.entries(outputs)) answer[name] = (await tensor.array())[0];
    return answer;
  } finally {
    tf.dispose([inputs, outputs]);
  }
}

function makeInputs(facts, values) {
  const inputs = {};
  for (const { name, shape } of facts.inputs) {
    const fields = facts.fields.filter((field) => field.input === name);
    if (name === NUMBERS) inputs[name] = tf.tensor2d(row(shape[1], fields, values), [1, shape[1]]);
    if (name === PIXELS) inputs[name] = pictures(facts.image, shape.length, fields.map((field) => values.get(field)));
  }
  return inputs;
}

function row(width, fields, values) {
  const numbers = new Float32Array(width);
  for (const field of fields) numbers[field.position] = values.get(field);
  return numbers;
}

/** (1, h, w, channels), or (1, pictures, h, w, channels); a missing picture is black. */
function pictures(facts, rank, given) {
  const sizes = new Set(given.filter(Boolean).map((image) => `${image.width} × ${image.height}`));
  if (sizes.size > 1) {
    throw new Error(`The pictures of one prediction need one size; these have ${[...sizes].join(" and ")} pixels.`);
  }
  const { width, height } = given.find(Boolean) ?? { width: 1, height: 1 };
  return tf.tidy(() => {
    const tensors = given.map((image) => pixels(image ?? black(width, height), facts.colour_order));
    return (rank === 5 ? tf.stack(tensors) : tensors[0]).expandDims(0);
  });
}

function black(width, height) {
  const image = new ImageData(width, height);
  image.data.forEach((_, i) => { if (i % 4 === 3) image.data[i] = 255; });
  return image;
}

/** (h, w, channels) float32 of 0 to 255. */
function pixels(image, order) {
  const channels = tf.browser.fromPixels(image, order.length).toFloat();
  return order.startsWith("bgr") ? tf.gather(channels, [2, 1, 0, 3].slice(0, order.length), 2) : channels;
}

// The page of a model: its fields, and under them or beside them what it says.

import { ANSWERS } from "./answers.js";
import { element } from "./dom.js";
import { categoryWidget, dateWidgets, numberWidget } from "./fields.js";
import { loadModel } from "./model.js";
import { pictureWidget } from "./pictures.js";

const MODEL_URL = "model.json";
const TITLES = {
  classification: (facts) => facts.objective ?? "Classification",
  regression: (facts) => facts.objective ?? "Regression",
  detection: () => "Object detection",
};
const byId = (id) => document.getElementById(id);

function tell(message) {
  byId("problem").textContent = message;
}

/** Of each field its widget, in the fields' order; what is without an element shares that of an earlier one. */
function widgets(facts, changed) {
  const turned = facts.image?.exif_rotation ?? false;
  const makers = {
    numeric: (field) => numberWidget(field, changed),
    categorical: (field) => categoryWidget(field, changed),
    image: (field) => pictureWidget(field, turned, facts.fields.length > 1, changed, tell),
  };
  const made = new Map();
  for (const field of facts.fields) {
    const column = field.date?.column;
    const parts = facts.fields.filter((other) => column !== undefined && other.date?.column === column);
    if (column === undefined) made.set(field, makers[field.type](field));
    else if (!made.has(field)) dateWidgets(column, parts, changed).forEach((widget, part) => made.set(part, widget));
  }
  return made;
}

/** Runs `work` once at a time; what is asked for meanwhile is done once, afterwards. `busy` is told whether it runs. */
function oneAtATime(work, busy) {
  let running = false;
  let again = false;
  return async () => {
    again = true;
    if (running) return;
    busy((running = true));
    while (again) {
      again = false;
      await work();
    }
    busy((running = false));
  };
}

function subtitle(facts) {
  if (facts.type === "detection") return `Finds ${list(facts.classes)} in pictures.`;
  const pictures = facts.fields.filter((field) => field.type === "image").length;
  const others = new Set(facts.fields.filter((field) => field.type !== "image").map((field) => field.date?.column ?? field));
  const counted = [counting(pictures, "a picture", "pictures"), counting(others.size, "a value", "values")];
  const from = counted.filter(Boolean).join(" and ");
  return facts.type === "regression" ? `Predicts a number from ${from}.` : `Tells ${list(facts.classes)} apart, from ${from}.`;
}

function counting(count, one, many) {
  if (count === 0) return "";
  return count === 1 ? one : `${count} ${many}`;
}

function list(names) {
  if (names.length > 6) return `${names.length} classes`;
  return names.length === 1 ? names[0] : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function build(model) {
  const { facts } = model;
  const predict = oneAtATime(async () => {
    tell("");
    try {
      await answer(model, shown);
    } catch (error) {
      tell(error.message);
    }
  }, (running) => byId("prediction").setAttribute("aria-busy", running));
  const shown = widgets(facts, predict);
  const all = [...shown.values()];
  const pictures = all.filter((widget) => widget.overlay);
  const others = all.filter((widget) => !widget.overlay && widget.element).map((widget) => widget.element);
  byId("inputs").append(...pictures.map((widget) => widget.element), element("div", { className: "fields" }, ...others));
  byId("inputs").addEventListener("submit", (event) => event.preventDefault());
  if (pictures.length === 1) takeAnywhere(pictures[0]);
  if (others.length > 0) predict();
  else byId("prediction").append(element("p", { className: "hint" }, "Give it a picture."));
}

/** Pictures that are dropped or pasted beside the only place for one go there, too. */
function takeAnywhere(picture) {
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => { event.preventDefault(); picture.take(event.dataTransfer.files); });
  document.addEventListener("paste", (event) => picture.take(event.clipboardData.files));
}

async function answer({ facts, predict }, shown) {
  const values = new Map([...shown].map(([field, widget]) => [field, widget.value()]));
  const started = performance.now();
  const given = await predict(values);
  const took = performance.now() - started;
  const overlay = [...shown.values()].find((widget) => widget.overlay)?.overlay;
  byId("prediction").replaceChildren(...ANSWERS[facts.type](facts, given, overlay));
  byId("measured").textContent = `Answered in ${took.toFixed(0)} ms (TensorFlow.js ${tf.version_core}, ${tf.getBackend()}).`;
}

async function main() {
  try {
    const model = await loadModel(MODEL_URL, (share) => {
      byId("status").textContent = `Loading the model … ${Math.round(100 * share)} %`;
    });
    document.title = byId("title").textContent = TITLES[model.facts.type](model.facts);
    byId("subtitle").textContent = subtitle(model.facts);
    build(model);
    byId("status").textContent = "";
    document.querySelector("main").hidden = false;
  } catch (error) {
    byId("status").textContent = "";
    tell(`The model cannot be loaded: ${error.message}`);
  }
}

main();

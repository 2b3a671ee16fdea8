// What the model says: probabilities as bars, a number, or boxes on the picture.

import { element, shape } from "./dom.js";
import { short } from "./fields.js";

const SHOWN_CLASSES = 10;
const HUES = 137.5; // degrees between the colours of neighbouring classes: the golden angle

/** What shows an answer of each type of model: (facts, answer, overlay) -> elements. */
export const ANSWERS = { classification: bars, regression: number, detection: boxes };

function bars(facts, answer) {
  const ranked = facts.classes.map((name, i) => ({ name, share: answer.output[i] }));
  ranked.sort((one, other) => other.share - one.share);
  const best = element("p", { className: "best", "data-value": ranked[0].name }, ranked[0].name);
  const list = element("ol", { className: "bars" }, ...ranked.map(bar));
  const more = ranked.length - SHOWN_CLASSES;
  if (more <= 0) return [best, list];
  const button = element("button", { type: "button", "aria-expanded": "false" }, `Show ${more} more`);
  const show = (all) => [...list.children].forEach((item, i) => { item.hidden = !all && i >= SHOWN_CLASSES; });
  button.addEventListener("click", () => { show(true); button.remove(); });
  show(false);
  return [best, list, button];
}

function bar({ name, share }) {
  const filled = element("span", { className: "filled" });
  filled.style.setProperty("--share", share);
  const percent = element("span", { className: "share" }, `${(100 * share).toFixed(1)} %`);
  const track = element("span", { className: "track", "aria-hidden": "true" }, filled);
  return element("li", { "data-share": share }, element("span", { className: "name" }, name), track, percent);
}

function number(facts, answer) {
  const [value] = answer.output;
  const name = facts.objective ?? "The number";
  const unit = facts.standardised_output === null ? "" : ", in standard deviations from the mean";
  const shown = element("output", { className: "number", "data-value": value }, short(value));
  return [element("p", {}, shown), element("p", { className: "objective" }, name + unit)];
}

function boxes(facts, answer, overlay) {
  const found = answer.boxes.map((box, i) => ({ box, score: answer.scores[i], label: answer.classes[i] }));
  // in pixels of the picture, one of the screen
  const unit = overlay.viewBox.baseVal.width / (overlay.clientWidth || 1);
  const drawn = found.map((one) => drawing(one, facts.classes[one.label], unit));
  overlay.replaceChildren(...drawn);
  if (found.length === 0) {
    return [element("p", {}, `Nothing is found with a score above ${short(facts.detection.threshold)}.`)];
  }
  const items = found.map((one, i) => item(one, facts.classes[one.label], drawn[i]));
  const title = `${found.length} ${found.length === 1 ? "object" : "objects"}, best first`;
  return [element("p", {}, title), element("ol", { className: "boxes" }, ...items)];
}

function colour(label) {
  return `hsl(${(210 + label * HUES) % 360} 75% 38%)`;
}

function drawing({ box: [x1, y1, x2, y2], score, label }, name, unit) {
  const paint = colour(label);
  const frame = shape("rect", {
    x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0),
    fill: "none", stroke: paint, "stroke-width": 2.5 * unit,
  });
  const text = `${name} ${score.toFixed(2)}`;
  const top = Math.max(y1 - 18 * unit, 0);
  const plate = shape("rect", {
    x: x1 - 1.25 * unit, y: top, width: (8 * text.length + 8) * unit, height: 18 * unit, fill: paint,
  });
  const place = { x: x1 + 4 * unit, y: top + 13.5 * unit, textLength: 8 * text.length * unit };
  const words = shape("text", { ...place, lengthAdjust: "spacingAndGlyphs", "font-size": 13 * unit, fill: "#fff" }, text);
  return shape("g", {}, frame, plate, words);
}

/** An entry of the list: pointing at it, or moving to it, shows its box alone. */
function item({ box, score, label }, name, drawn) {
  const patch = element("span", { className: "patch", "aria-hidden": "true" });
  patch.style.setProperty("--colour", colour(label));
  const where = element("span", { className: "where" }, `x ${box[0]} to ${box[2]}, y ${box[1]} to ${box[3]}`);
  const entry = element(
    "li", { tabIndex: 0, "data-label": name, "data-box": box.join(" "), "data-score": score },
    patch, element("span", { className: "name" }, name), element("span", { className: "share" }, score.toFixed(3)), where,
  );
  const only = (alone) => {
    drawn.ownerSVGElement?.classList.toggle("one", alone);
    drawn.classList.toggle("chosen", alone);
  };
  for (const event of ["focus", "mouseenter"]) entry.addEventListener(event, () => only(true));
  for (const event of ["blur", "mouseleave"]) entry.addEventListener(event, () => only(false));
  return entry;
}

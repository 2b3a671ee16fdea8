// Numbers, categories and dates that people type or choose. Each widget has an element, and a value that may be missing.

import { element, newId } from "./dom.js";

/** What a field is called. */
export function fieldName(field) {
  return field.name ?? `Field ${field.index}`;
}

/**
 * A number, which may be left out.
 * @returns {{element: HTMLElement, value: () => number}} NaN where it is missing
 */
export function numberWidget(field, changed) {
  const [id, problemId] = [newId("number"), newId("problem")];
  const problem = element("span", { className: "problem", id: problemId });
  const input = element("input", {
    id, type: "number", step: "any", name: fieldName(field), autocomplete: "off",
    placeholder: `missing (as ${short(field.missing_value)})`, "aria-describedby": problemId,
  });
  input.addEventListener("input", () => {
    const wrong = input.validity.badInput;
    input.setAttribute("aria-invalid", wrong);
    problem.textContent = wrong ? "Not a number: taken as missing" : "";
    changed();
  });
  const label = element("label", { htmlFor: id }, fieldName(field));
  return { element: element("div", { className: "field" }, label, input, problem), value: () => input.valueAsNumber };
}

/**
 * One of a field's categories, or none.
 * @returns {{element: HTMLElement, value: () => number}} its position
 */
export function categoryWidget(field, changed) {
  const id = newId("category");
  const choices = field.values.map((value, i) => element("option", { value: i }, value));
  const missing = element("option", { value: field.missing_value }, "missing, or another one");
  const input = element("select", { id, name: fieldName(field) }, missing, ...choices);
  input.addEventListener("change", changed);
  const label = element("label", { htmlFor: id }, fieldName(field));
  return { element: element("div", { className: "field" }, label, input), value: () => Number(input.value) };
}

// of a time on the clock, which is held as if it were UTC
const PARTS = {
  year: (time) => time.getUTCFullYear(),
  month: (time) => time.getUTCMonth() + 1,
  day: (time) => time.getUTCDate(),
  weekday: (time) => ((time.getUTCDay() + 6) % 7) + 1,
  hour: (time) => time.getUTCHours() + time.getUTCMinutes() / 60 + time.getUTCSeconds() / 3600,
  timestamp: (time) => time.getTime() / 1000,
};

/**
 * A date, which may be left out: one input for all fields that are parts of one column.
 * @returns {Map} of each field its widget; the first of them has the element
 */
export function dateWidgets(column, fields, changed) {
  const id = newId("date");
  const hasTime = fields.some((field) => field.date.part === "hour");
  const input = element("input", { id, type: hasTime ? "datetime-local" : "date", step: hasTime ? 1 : "", name: column });
  input.addEventListener("input", changed);
  const label = element("label", { htmlFor: id }, column);
  const shared = element("div", { className: "field" }, label, input);
  const value = (part) => (input.value === "" ? NaN : PARTS[part](new Date(input.valueAsNumber)));
  return new Map(fields.map((field, i) => [
    field, { element: i === 0 ? shared : null, value: () => value(field.date.part) },
  ]));
}

/** A number as people read it. */
export function short(number) {
  return number.toLocaleString("en", { maximumSignificantDigits: 6, useGrouping: false });
}

// Does in a page what its address asks for, ?picture=/file.png&size=1.5, as a person would, and says when it is answered.
"use strict";

async function until(condition) {
  while (!condition()) await new Promise((resume) => setTimeout(resume, 20));
}

const problem = () => document.getElementById("problem").textContent !== "";
const busy = () => document.querySelector("[aria-busy=true]") !== null;
const pictures = () => [...document.querySelectorAll("canvas")].map((canvas) => canvas.ariaLabel ?? "");

async function drop(path) {
  const content = await (await fetch(path)).blob();
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([content], path.slice(1), { type: content.type }));
  document.querySelector(".stage").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  await until(() => pictures().some((name) => name.startsWith(path.slice(1))) || problem());
}

async function useCamera() {
  const [start, shoot] = document.querySelectorAll(".buttons button");
  start.click();
  const video = document.querySelector("video");
  await until(() => video.videoWidth > 0 || problem());
  shoot.click();
}

async function type(name, value) {
  const input = document.forms.inputs.elements[name];
  const option = [...(input.options ?? [])].find((one) => one.text === value);
  input.value = option ? option.value : value;
  input.dispatchEvent(new Event(option ? "change" : "input", { bubbles: true }));
}

const ACTIONS = { picture: drop, camera: useCamera };

async function drive() {
  await until(() => !document.querySelector("main").hidden || problem());
  for (const [name, value] of new URLSearchParams(location.search)) {
    await until(() => !busy());
    await (ACTIONS[name] ? ACTIONS[name](value) : type(name, value));
  }
  await until(() => !busy());
  await fetch("/done");
}

drive();

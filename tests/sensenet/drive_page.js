// Does in a page what its address asks for, ?picture=/file.png&size=1.5, as a person would, and says when it is answered.
"use strict";

async function until(condition) {
  while (!condition()) await new Promise((resume) => setTimeout(resume, 20));
}

async function drop(path) {
  const content = await (await fetch(path)).blob();
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([content], path.slice(1), { type: content.type }));
  document.querySelector(".stage").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}

function type(name, value) {
  const input = document.forms.inputs.elements[name];
  const option = [...(input.options ?? [])].find((one) => one.text === value);
  input.value = option ? option.value : value;
  input.dispatchEvent(new Event(option ? "change" : "input", { bubbles: true }));
}

async function useCamera() {
  const [start, shoot] = document.querySelectorAll(".buttons button");
  start.click();
  const video = document.querySelector("video");
  await until(() => video.videoWidth > 0);
  shoot.click();
}

async function drive() {
  const problem = () => document.getElementById("problem").textContent !== "";
  await until(() => document.body.dataset.state || problem());
  for (const [name, value] of new URLSearchParams(location.search)) {
    delete document.body.dataset.state;
    if (name === "picture") await drop(value);
    else if (name === "camera") await useCamera();
    else type(name, value);
    await until(() => document.body.dataset.state === "answered" || problem());
  }
  await fetch("/done");
}

drive();

// A picture that people drop, choose, paste or take with the camera.

import { element, newId, shape } from "./dom.js";
import { fieldName } from "./fields.js";

/**
 * A picture, which may be missing.
 * @param {object} field
 * @param {boolean} turned whether the model sees pictures turned as their EXIF orientation says
 * @param {boolean} removable whether it may be taken away again
 * @param {() => void} changed is called with every new picture
 * @param {(message: string) => void} tell shows what went wrong
 * @returns {{element: HTMLElement, overlay: SVGElement, value: () => ImageData | null, take: (files) => void}}
 */
export function pictureWidget(field, turned, removable, changed, tell) {
  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  const overlay = shape("svg", { "aria-hidden": "true" });
  const hint = element("p", { className: "hint" }, "Drop a picture here");
  const shown = element("div", { className: "shown", hidden: true }, canvas, overlay);
  const stage = element("div", { className: "stage" }, hint, shown);
  const remove = element("button", { type: "button", hidden: true }, "Remove the picture");
  const context = canvas.getContext("2d", { willReadFrequently: true });

  function reveal(present) {
    shown.hidden = !present;
    hint.hidden = present;
    remove.hidden = !(present && removable);
    changed();
  }

  function show(source, width, height, name) {
    [canvas.width, canvas.height] = [width, height];
    context.drawImage(source, 0, 0);
    overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
    overlay.replaceChildren();
    canvas.setAttribute("aria-label", `${name}, ${width} by ${height} pixels`);
    canvas.classList.toggle("small", width < 200);
    reveal(true);
  }

  async function read(file) {
    // the numbers of the file, neither turned nor brought to the screen's colours
    const options = {
      imageOrientation: turned ? "from-image" : "none", colorSpaceConversion: "none", premultiplyAlpha: "none",
    };
    try {
      const bitmap = await createImageBitmap(file, options);
      show(bitmap, bitmap.width, bitmap.height, file.name || "picture");
      bitmap.close();
    } catch {
      tell(`${file.name || "This"} is not a picture that this browser can read.`);
    }
  }

  remove.addEventListener("click", () => reveal(false));
  const take = (files) => { if (files.length > 0) read(files[0]); };
  stage.addEventListener("dragover", (event) => { event.preventDefault(); stage.classList.add("over"); });
  stage.addEventListener("dragleave", () => stage.classList.remove("over"));
  stage.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    stage.classList.remove("over");
    if (event.dataTransfer.files.length === 0) tell("What was dropped is no file: save the picture first.");
    take(event.dataTransfer.files);
  });

  const camera = cameraButtons(stage, (video) => show(video, video.videoWidth, video.videoHeight, "camera picture"), tell);
  const buttons = element("div", { className: "buttons" }, ...fileButton(field, take), ...camera, remove);
  const value = () => (shown.hidden ? null : context.getImageData(0, 0, canvas.width, canvas.height));
  const legend = element("legend", {}, fieldName(field));
  return { element: element("fieldset", { className: "picture" }, legend, stage, buttons), overlay, value, take };
}

function fileButton(field, take) {
  const id = newId("file");
  const input = element("input", { id, type: "file", accept: "image/*", className: "file" });
  input.addEventListener("change", () => { take(input.files); input.value = ""; });
  return [input, element("label", { htmlFor: id, className: "button" }, "Choose a file")];
}

/** The buttons that start the camera, and take a picture with it. */
function cameraButtons(stage, taken, tell) {
  const video = element("video", { autoplay: true, muted: true, playsInline: true, hidden: true });
  const start = element("button", { type: "button" }, "Use the camera");
  const shoot = element("button", { type: "button", hidden: true }, "Take the picture");
  const stop = element("button", { type: "button", hidden: true }, "Stop the camera");
  stage.append(video);

  function run(stream) {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = stream;
    stage.classList.toggle("live", stream !== null);
    for (const one of [video, shoot, stop]) one.hidden = stream === null;
    start.hidden = stream !== null;
  }

  start.addEventListener("click", async () => {
    if (navigator.mediaDevices === undefined) {
      tell("Browsers give the camera only to pages from https:// addresses and from localhost.");
      return;
    }
    try {
      run(await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }));
      shoot.focus();
    } catch (error) {
      tell(`The camera cannot be used: ${error.message}`);
    }
  });
  shoot.addEventListener("click", () => {
    if (video.videoWidth === 0) {
      tell("The camera has given no picture yet: try again in a moment.");
      return;
    }
    taken(video);
    run(null);
    start.focus();
  });
  stop.addEventListener("click", () => { run(null); start.focus(); });
  return [start, shoot, stop];
}

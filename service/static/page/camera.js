// A photo from the camera: in a dialog where the browser lets a page see the camera, else from the phone's own.

import { showProblem } from "./problem.js";

const NO_CAMERA = "No camera could be used: allow it in the browser, or choose a picture.";
const button = document.getElementById("photograph");
const capture = document.getElementById("capture");
const take = document.getElementById("camera-take");
const video = document.getElementById("camera");

export function takePhotos(onPhoto) {
  capture.onchange = () => {
    onPhoto([...capture.files]);
    capture.value = "";
  };
  button.onclick = async () => {
    button.disabled = true; // a second camera would stay on
    try {
      await show(await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }), onPhoto);
    } catch {
      askThePhone(); // no camera, no permission, or no secure connection
    }
    button.disabled = false;
  };
}

function askThePhone() {
  // Browsers open the phone's camera only soon after a tap.
  if (navigator.userActivation?.isActive ?? true) capture.click();
  else showProblem(NO_CAMERA);
}

function show(stream, onPhoto) {
  const dialog = document.getElementById("camera-dialog");
  take.disabled = true;
  video.onloadeddata = () => (take.disabled = false);
  document.getElementById("camera-cancel").onclick = () => dialog.close();
  take.onclick = async () => {
    onPhoto([await snapshot()]);
    dialog.close();
  };
  video.srcObject = stream;
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      for (const track of stream.getTracks()) track.stop();
      video.srcObject = null;
      resolve();
    };
  });
}

async function snapshot() {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  return new File([blob], "photo.jpg", { type: blob.type });
}

// A photo from the camera: in a dialog where the browser lets a page see the camera, else from the phone's own.

export function takePhotos(onPhoto) {
  const capture = document.getElementById("capture");
  capture.onchange = () => {
    onPhoto([...capture.files]);
    capture.value = "";
  };
  document.getElementById("photograph").onclick = async () => {
    try {
      await show(await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }), onPhoto);
    } catch {
      capture.click(); // no camera, no permission, or no secure connection
    }
  };
}

async function show(stream, onPhoto) {
  const dialog = document.getElementById("camera-dialog");
  const video = document.getElementById("camera");
  dialog.onclose = () => {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
  document.getElementById("camera-cancel").onclick = () => dialog.close();
  document.getElementById("camera-take").onclick = async () => {
    onPhoto([await snapshot(video)]);
    dialog.close();
  };
  video.srcObject = stream;
  dialog.showModal();
}

async function snapshot(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  return new File([blob], "photo.jpg", { type: blob.type });
}

// SPDX-License-Identifier: MIT
// The dialog to set the user's picture. It sends a small square made from the file, which loads fast and has no
// metadata of a camera.

import { $, el, paintAvatar } from "./dom.js";

const SIDE = 256; // pixels: twice the largest size shown
const BYTES_MAX = 256 * 1024; // the server's limit

export class Picture {
  #store;
  #dialog = $("picture-dialog");
  #file = $("picture-file");

  // on: {set(blob), clear()} → promises; errors that they throw are shown.
  constructor({ store, on }) {
    this.#store = store;
    $("me-picture").addEventListener("click", () => this.#open());
    $("picture-choose").addEventListener("click", () => this.#file.click());
    $("picture-remove").addEventListener("click", () => this.#attempt(() => on.clear()));
    this.#file.addEventListener("change", () => {
      const file = this.#file.files[0];
      if (file) this.#attempt(async () => on.set(await squareOf(file)));
    });
  }

  #open() {
    $("picture-error").textContent = "";
    this.render();
    this.#dialog.showModal();
    $("picture-choose").focus();
  }

  render() {
    const { name } = this.#store.me;
    const picture = this.#store.picture(name);
    paintAvatar($("picture-now"), this.#store.displayName(name), name, picture);
    $("picture-remove").hidden = !picture;
  }

  async #attempt(work) {
    const buttons = [$("picture-choose"), $("picture-remove")];
    $("picture-error").textContent = "";
    for (const button of buttons) button.disabled = true;
    try {
      await work();
    } catch (problem) {
      $("picture-error").textContent = problem.message;
    } finally {
      for (const button of buttons) button.disabled = false;
      this.#file.value = ""; // the same file may be chosen again
    }
  }
}

// Returns the central square of a picture. A browser that can't encode WebP returns a PNG instead.
async function squareOf(file) {
  const picture = await createImageBitmap(file).catch(() => { throw new Error("This browser can't read the file as a picture. Choose a PNG, JPEG, WebP or GIF."); });
  const side = Math.min(picture.width, picture.height);
  const canvas = el("canvas", { width: SIDE, height: SIDE });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  picture.close();
  const write = (type) => new Promise((resolve) => { canvas.toBlob(resolve, type, 0.9); });
  const blob = await write("image/webp");
  return blob.size <= BYTES_MAX ? blob : write("image/jpeg");
}

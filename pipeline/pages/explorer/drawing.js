// Pictures: flat arrays in [0, 1], channels first, and canvases.

function draw(canvas, pixels, [channels, height, width]) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height), plane = width * height;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round(255 * pixels[(channels === 3 ? c * plane : 0) + i]);
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

function pixelsOf(context, [channels, height, width], top = 0) {
  const shown = context.getImageData(0, top, width, height).data, plane = width * height;
  const found = new Float32Array(channels * plane);
  for (let i = 0; i < plane; i++) {
    if (channels === 3) for (let c = 0; c < 3; c++) found[c * plane + i] = shown[4 * i + c] / 255;
    else found[i] = (0.299 * shown[4 * i] + 0.587 * shown[4 * i + 1] + 0.114 * shown[4 * i + 2]) / 255;
  }
  return found;
}

function contextOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
}

async function loaded(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

// The pictures of the page, from the PNG that has them one below the other.
async function picturesOf(base64, count, shape) {
  const [, height, width] = shape;
  if (!count) return [];
  const context = contextOf(width, height * count);
  context.drawImage(await loaded(`data:image/png;base64,${base64.trim()}`), 0, 0);
  return Array.from({ length: count }, (_, row) => pixelsOf(context, shape, row * height));
}

// A file of the user's, its middle cut out in the model's proportions and brought to its size.
async function ownPicture(file, shape) {
  const [, height, width] = shape, source = URL.createObjectURL(file);
  try {
    const image = await loaded(source), context = contextOf(width, height);
    const scale = Math.min(image.naturalWidth / width, image.naturalHeight / height);
    const [across, down] = [width * scale, height * scale];
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    const left = (image.naturalWidth - across) / 2, top = (image.naturalHeight - down) / 2;
    context.drawImage(image, left, top, across, down, 0, 0, width, height);
    return pixelsOf(context, shape);
  } finally {
    URL.revokeObjectURL(source);
  }
}

// A canvas as a PNG file, its pixels enlarged to a side of 256 or more.
function save(canvas, name) {
  const factor = Math.max(1, Math.ceil(256 / Math.min(canvas.width, canvas.height)));
  const context = contextOf(canvas.width * factor, canvas.height * factor);
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, 0, 0, context.canvas.width, context.canvas.height);
  context.canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
}

// A slider and the number behind it; "set" moves both without telling, "changed" is told of a move by hand.
function slider(name, from, to, step, changed) {
  const range = element("input", { type: "range", min: from, max: to, step, "aria-label": name });
  const number = element("input", { type: "number", step, "aria-label": `${name}, as a number` });
  range.addEventListener("input", () => changed(Number(range.value)));
  number.addEventListener("input", () => number.value !== "" && Number.isFinite(Number(number.value)) && changed(Number(number.value)));
  function set(value, said) {
    range.disabled = number.disabled = value === null;
    if (value === null) return;
    range.min = Math.min(from, Math.floor(10 * value) / 10);
    range.max = Math.max(to, Math.ceil(10 * value) / 10);
    range.value = value;
    if (document.activeElement !== number) number.value = Number(value.toFixed(3));
    if (said) range.setAttribute("aria-valuetext", said);
  }
  const made = { range, number, set, within: (least, most) => (([from, to] = [least, most]), made) };
  return made;
}

"use strict";
// Runs a network that is given as a list of layers (pipeline/pages/program.py) on one picture or code.
// Values are Float32Arrays, flat; their shapes, (size) or (channels, height, width), are in the list.

function bytesOf(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * 2 ** (exponent - 25) * (1024 + fraction);
}

let halves = null; // every value that 16 bits can have

function weightsAt(bytes, place) {
  if (place.type === "single") return new Float32Array(bytes.buffer, place.start, place.size);
  halves = halves || Float32Array.from({ length: 65536 }, (_, bits) => fromHalf(bits));
  const stored = new Uint16Array(bytes.buffer, place.start, place.size);
  const found = new Float32Array(place.size);
  for (let i = 0; i < found.length; i++) found[i] = halves[stored[i]];
  return found;
}

// Weights are unpacked when a layer first runs.
function network(program, bytes) {
  const kept = new Map();
  const weightsOf = (layer) => {
    if (!kept.has(layer)) {
      const own = {};
      for (const [name, place] of Object.entries(layer.weights)) own[name] = weightsAt(bytes, place);
      kept.set(layer, own);
    }
    return kept.get(layer);
  };
  return (inputs) => {
    const values = program.inputs.map(([name]) => Float32Array.from(inputs[name]));
    const shapes = program.inputs.map(([, shape]) => shape);
    for (const layer of program.layers) {
      const of = layer.inputs.map((number) => ({ values: values[number], shape: shapes[number] }));
      values.push(RUN[layer.kind](layer, of, weightsOf(layer)));
      shapes.push(layer.shape);
    }
    return values[program.output];
  };
}

const sizeOf = (shape) => shape.reduce((product, side) => product * side, 1);

function linear(layer, [input], { weight, bias }) {
  const inputs = input.values, width = inputs.length, outputs = layer.shape[0];
  const found = new Float32Array(outputs);
  for (let o = 0; o < outputs; o++) {
    let sum = bias ? bias[o] : 0;
    const row = o * width;
    for (let i = 0; i < width; i++) sum += weight[row + i] * inputs[i];
    found[o] = sum;
  }
  return found;
}

function kernelSides(layer) {
  return layer.weights.weight.shape.slice(2);
}

// For each output pixel the part of the input under the kernel, then its products with the weights of each channel.
function convolution(layer, [input], { weight, bias }) {
  const [channels, height, width] = input.shape, [outputs, rows, columns] = layer.shape;
  const [down, across] = kernelSides(layer), [stepY, stepX] = layer.stride, [padY, padX] = layer.padding;
  const from = input.values, patch = new Float32Array(channels * down * across), size = patch.length;
  const found = new Float32Array(outputs * rows * columns), plane = rows * columns;
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      let place = 0;
      for (let c = 0; c < channels; c++)
        for (let ky = 0; ky < down; ky++) {
          const row = y * stepY + ky - padY, inside = row >= 0 && row < height;
          const start = (c * height + row) * width;
          for (let kx = 0; kx < across; kx++) {
            const column = x * stepX + kx - padX;
            patch[place++] = inside && column >= 0 && column < width ? from[start + column] : 0;
          }
        }
      for (let o = 0; o < outputs; o++) {
        const start = o * size;
        let sum = bias ? bias[o] : 0;
        for (let i = 0; i < size; i++) sum += weight[start + i] * patch[i];
        found[o * plane + y * columns + x] = sum;
      }
    }
  return found;
}

// For each input pixel all that it adds to the outputs around it, which is then added there.
function transposedConvolution(layer, [input], { weight, bias }) {
  const [channels, height, width] = input.shape, [outputs, rows, columns] = layer.shape;
  const [down, across] = kernelSides(layer), [stepY, stepX] = layer.stride, [padY, padX] = layer.padding;
  const from = input.values, patch = new Float32Array(outputs * down * across), size = patch.length;
  const found = new Float32Array(outputs * rows * columns), plane = rows * columns;
  if (bias) for (let o = 0; o < outputs; o++) found.fill(bias[o], o * plane, (o + 1) * plane);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      patch.fill(0);
      for (let c = 0; c < channels; c++) {
        const value = from[(c * height + y) * width + x], start = c * size;
        if (value !== 0) for (let i = 0; i < size; i++) patch[i] += weight[start + i] * value;
      }
      let place = 0;
      for (let o = 0; o < outputs; o++)
        for (let ky = 0; ky < down; ky++) {
          const row = y * stepY + ky - padY, inside = row >= 0 && row < rows;
          const start = o * plane + row * columns;
          for (let kx = 0; kx < across; kx++, place++) {
            const column = x * stepX + kx - padX;
            if (inside && column >= 0 && column < columns) found[start + column] += patch[place];
          }
        }
    }
  return found;
}

function upsample(layer, [input]) {
  const [, height, width] = input.shape, [channels, rows, columns] = layer.shape, [down, across] = layer.factor;
  const found = new Float32Array(sizeOf(layer.shape));
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++)
        found[(c * rows + y) * columns + x] =
          input.values[(c * height + Math.floor(y / down)) * width + Math.floor(x / across)];
  return found;
}

function pool(layer, [input], start, take, share) {
  const [, height, width] = input.shape, [channels, rows, columns] = layer.shape;
  const [down, across] = layer.kernel, [stepY, stepX] = layer.stride;
  const found = new Float32Array(sizeOf(layer.shape));
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++) {
        let pooled = start;
        for (let ky = 0; ky < down; ky++)
          for (let kx = 0; kx < across; kx++)
            pooled = take(pooled, input.values[(c * height + y * stepY + ky) * width + x * stepX + kx]);
        found[(c * rows + y) * columns + x] = pooled * share;
      }
  return found;
}

function pixelNorm(layer, [input]) {
  const channels = input.shape[0], plane = input.values.length / channels, found = new Float32Array(input.values);
  for (let p = 0; p < plane; p++) {
    let square = 0;
    for (let c = 0; c < channels; c++) square += input.values[c * plane + p] ** 2;
    const factor = 1 / Math.sqrt(square / channels + layer.epsilon);
    for (let c = 0; c < channels; c++) found[c * plane + p] *= factor;
  }
  return found;
}

function channelAffine(values, channels, weight, bias) {
  const plane = values.length / channels;
  return values.map((value, i) => {
    const channel = Math.floor(i / plane);
    return value * (weight ? weight[channel] : 1) + (bias ? bias[channel] : 0);
  });
}

function groupNorm(layer, [input], { weight, bias }) {
  const size = input.values.length / layer.groups, normed = new Float32Array(input.values);
  for (let g = 0; g < layer.groups; g++) {
    const group = normed.subarray(g * size, (g + 1) * size);
    const mean = group.reduce((sum, value) => sum + value, 0) / size;
    const variance = group.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size;
    const factor = 1 / Math.sqrt(variance + layer.epsilon);
    for (let i = 0; i < size; i++) group[i] = (group[i] - mean) * factor;
  }
  return channelAffine(normed, input.shape[0], weight, bias);
}

// Calls a function with each part of the input, of the layer's sizes, and the output's part.
function inParts(layer, [input], each) {
  const found = new Float32Array(input.values.length);
  let start = 0;
  for (const size of layer.sizes) {
    each(input.values.subarray(start, start + size), found.subarray(start, start + size));
    start += size;
  }
  return found;
}

function logSoftmax(from, to) {
  const largest = Math.max(...from);
  const total = Math.log(from.reduce((sum, value) => sum + Math.exp(value - largest), 0)) + largest;
  from.forEach((value, i) => (to[i] = value - total));
}

function mostProbable(from, to) {
  to[from.indexOf(Math.max(...from))] = 1;
}

function concatenated(layer, inputs) {
  const found = new Float32Array(layer.shape[0]);
  let start = 0;
  for (const input of inputs) {
    found.set(input.values, start);
    start += input.values.length;
  }
  return found;
}

// The error function by Abramowitz and Stegun 7.1.26; its error is below 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const softplus = (x) => (x > 30 ? x : Math.log1p(Math.exp(x)));
const each = (change) => (layer, [input]) => input.values.map((value) => change(value, layer));

const RUN = {
  linear,
  convolution,
  transposed_convolution: transposedConvolution,
  upsample,
  average_pool: (layer, inputs) =>
    pool(layer, inputs, 0, (sum, value) => sum + value, 1 / (layer.kernel[0] * layer.kernel[1])),
  max_pool: (layer, inputs) => pool(layer, inputs, -Infinity, Math.max, 1),
  pixel_norm: pixelNorm,
  group_norm: groupNorm,
  channel_affine: (layer, [input], { weight, bias }) => channelAffine(input.values, input.shape[0], weight, bias),
  affine: each((x, layer) => layer.scale * x + layer.shift),
  relu: each((x) => (x > 0 ? x : 0)),
  leaky_relu: each((x, layer) => (x > 0 ? x : layer.slope * x)),
  elu: each((x, layer) => (x > 0 ? x : layer.alpha * Math.expm1(x))),
  silu: each((x) => x * sigmoid(x)),
  gelu: each((x) => 0.5 * x * (1 + erf(x / Math.SQRT2))),
  tanh: each(Math.tanh),
  sigmoid: each(sigmoid),
  softplus: each((x, layer) => Math.max(softplus(x), layer.least)),
  power: each((x, layer) => x ** layer.exponent),
  log_softmax: (layer, inputs) => inParts(layer, inputs, logSoftmax),
  most_probable: (layer, inputs) => inParts(layer, inputs, mostProbable),
  reshape: (layer, [input]) => input.values,
  part: (layer, [input]) => input.values.slice(layer.start, layer.stop),
  concatenate: concatenated,
  add: (layer, [one, other]) => one.values.map((value, i) => value + other.values[i]),
  multiply: (layer, [one, other]) => one.values.map((value, i) => value * other.values[i]),
};

// Changes of codes, as in pipeline/models/parts/latent_algebra.py: arrays in, new arrays out.

function withLatents(code, [start, stop], latents) {
  const found = Float32Array.from(code);
  found.set(latents, start);
  return found;
}

// The second code with the places of the first.
function swapped(characteristics, style, places) {
  return places.reduce((code, [start, stop]) => withLatents(code, [start, stop], characteristics.slice(start, stop)), style);
}

function onTheWay(start, end, share) {
  return Float32Array.from(start, (value, i) => value + share * (end[i] - value));
}

// A point of the bilinear surface between four corners: above left, above right, below left, below right.
function onTheSurface(corners, across, down) {
  const left = onTheWay(corners[0], corners[2], down), right = onTheWay(corners[1], corners[3], down);
  return onTheWay(left, right, across);
}

// How far a point is on the way from one to another, the nearest point of the line counting; null if the two are the same.
function shareOf(point, start, end) {
  let along = 0, length = 0;
  for (let i = 0; i < point.length; i++) {
    along += (point[i] - start[i]) * (end[i] - start[i]);
    length += (end[i] - start[i]) ** 2;
  }
  return length > 1e-10 ? along / length : null;
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

function sampled(means, scales) {
  return Float32Array.from(means, (mean, i) => mean + scales[i] * normal());
}

function largest(values) {
  return values.indexOf(Math.max(...values));
}

// What is seen, in the part of the address after "#", so that a view can be shared:
// p: the picture; c: position:number of what differs from its code (of the whole code if there is no picture);
// y: the labels that it was encoded with; q: the other picture of a walk.

function addressOf(state) {
  const changed = [];
  state.code.forEach((value, i) => {
    const short = Number(value.toFixed(4));
    if (state.picture === null || Math.abs(value - state.base[i]) > 5e-5) changed.push(`${i}:${short}`);
  });
  const parts = [];
  if (state.picture !== null) parts.push(`p=${state.picture}`);
  if (state.given) parts.push(`y=${state.given.join(",")}`);
  if (changed.length) parts.push(`c=${changed.join(",")}`);
  if (state.other !== null) parts.push(`q=${state.other}`);
  return `#${parts.join("&")}`;
}

// What an address asks for; parts that make no sense for this page are left out.
function askedFor(hash, pictures, labels, size) {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const whole = (text, below) => (/^\d+$/.test(text || "") && Number(text) < below ? Number(text) : null);
  const given = (parts.get("y") || "").split(",").map((text, label) => whole(text, (labels[label] || { values: [] }).values.length));
  const changes = new Map();
  for (const pair of (parts.get("c") || "").split(",")) {
    const [position, value] = pair.split(":");
    if (whole(position, size) !== null && value && Number.isFinite(Number(value))) changes.set(Number(position), Number(value));
  }
  return {
    picture: whole(parts.get("p"), pictures),
    given: labels.length && given.length === labels.length && !given.includes(null) ? given : null,
    changes,
    other: whole(parts.get("q"), pictures),
  };
}

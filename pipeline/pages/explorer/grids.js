// Several pictures at once: two labels on a plane, a walk between two pictures, swaps, pictures from labels alone.

// Decodes codes one by one, so that the page stays usable; a newer call on the same canvases ends an older one.
const runs = new WeakMap();
async function decodeAll(app, holder, canvases, codeOf) {
  const run = Symbol("run");
  runs.set(holder, run);
  for (const [i, canvas] of canvases.entries()) {
    await new Promise((done) => setTimeout(done));
    if (runs.get(holder) !== run) return;
    draw(canvas, app.model.decode(codeOf(i)), app.data.image);
  }
  holder.dataset.done = String(Number(holder.dataset.done || 0) + 1);
}

function cells(holder, count, name) {
  const made = Array.from({ length: count }, (_, i) => element("canvas", { role: "img", "aria-label": name(i) }));
  holder.replaceChildren(...made);
  return made;
}

const PAD = 5;

// A plane of two labels, or between four values of one.
function plane(app, holder, rows) {
  const movable = app.data.labels.map((control, i) => i).filter((i) => app.data.labels[i].centres);
  const corners = movable.filter((i) => app.data.labels[i].values.length > 2 && app.data.labels[i].way !== "shift");
  const kinds = [];
  if (movable.length > 1) kinds.push(["two labels", null]);
  for (const label of corners) kinds.push([`values of ${app.data.labels[label].name} as corners`, label]);
  if (!kinds.length) return null;

  const at = { across: 0, down: 0 };
  let kind = 0, pair = movable.slice(0, 2), four = [];
  const options = element("div", { className: "options" });
  const pad = element("div", { className: "pad" }), mosaic = element("div", { className: "mosaic" }), spot = element("div", { className: "spot" });
  pad.append(mosaic, spot);
  const canvases = cells(mosaic, PAD * PAD, (i) => `row ${Math.floor(i / PAD) + 1}, column ${(i % PAD) + 1}`);
  mosaic.setAttribute("aria-hidden", "true");
  const [least, most] = [() => (kinds[kind][1] === null ? -0.5 : 0), () => (kinds[kind][1] === null ? 1.5 : 1)];
  const sliders = { across: null, down: null };

  function codeAt(across, down) {
    const label = kinds[kind][1];
    if (label !== null) {
      const { place, centres } = app.data.labels[label];
      return withLatents(app.state.code, place, onTheSurface(four.map((value) => centres[value]), across, down));
    }
    return [across, down].reduce((code, share, i) => {
      const way = rows[pair[i]].path();
      return way.at(code, share, way.share({ code, base: app.state.base }));
    }, app.state.code);
  }
  function show() {
    for (const axis of ["across", "down"]) sliders[axis].within(least(), most()).set(at[axis], "");
    const side = (value) => `${(100 * (value - least())) / (most() - least())}%`;
    spot.style.left = side(at.across);
    spot.style.top = side(at.down);
  }
  function preview() {
    if (!holder.open) return;
    const step = (i) => least() + ((i + 0.5) / PAD) * (most() - least());
    decodeAll(app, mosaic, canvases, (i) => codeAt(step(i % PAD), step(Math.floor(i / PAD))));
  }
  function move(across, down) {
    const held = (value) => Math.min(most(), Math.max(least(), value));
    [at.across, at.down] = [held(across), held(down)];
    app.change(codeAt(at.across, at.down));
    show();
  }
  for (const axis of ["across", "down"])
    sliders[axis] = slider(`Plane: ${axis}`, -0.5, 1.5, 0.01, (value) => (axis === "across" ? move(value, at.down) : move(at.across, value)));
  const toPoint = (event) => {
    const box = pad.getBoundingClientRect(), wide = most() - least();
    move(least() + (wide * (event.clientX - box.left)) / box.width, least() + (wide * (event.clientY - box.top)) / box.height);
  };
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    toPoint(event);
  });
  pad.addEventListener("pointermove", (event) => event.buttons && toPoint(event));

  function choices() {
    const label = kinds[kind][1], parts = [];
    if (label === null) {
      const names = movable.map((i) => app.data.labels[i].name);
      for (const [i, word] of ["across", "down"].entries()) {
        const select = chooser(`Plane: label ${word}`, names, (chosen) => {
          pair[i] = movable[chosen];
          preview();
        });
        select.value = movable.indexOf(pair[i]);
        parts.push(element("label", {}, `${word} `, select));
      }
    } else {
      const { values } = app.data.labels[label];
      four = [0, 1, 2, 3].map((i) => i % values.length);
      for (const [i, word] of ["above left", "above right", "below left", "below right"].entries()) {
        const select = chooser(`Plane: corner ${word}`, values, (chosen) => {
          four[i] = chosen;
          preview();
        });
        select.value = four[i];
        parts.push(element("label", {}, `${word} `, select));
      }
    }
    options.replaceChildren(...parts);
  }
  const kindOf = chooser("Plane of", kinds.map(([name]) => name), (chosen) => {
    kind = chosen;
    [at.across, at.down] = [(least() + most()) / 2, (least() + most()) / 2];
    choices();
    preview();
    show();
  });
  const named = (axis) => element("div", { className: "latent" }, element("span", {}, axis), sliders[axis].range, sliders[axis].number);
  holder.append(element("p", {}, "Point at the plane, or move its two sliders: the picture above follows."), kindOf, options, pad, named("across"), named("down"));
  choices();
  holder.addEventListener("toggle", preview);
  show();
  return preview;
}

const STEPS = 7;

// From the chosen picture to another.
function walk(app, holder) {
  const strip = element("div", { className: "strip" });
  const canvases = cells(strip, STEPS, (i) => `${Math.round((100 * i) / (STEPS - 1))} % of the way`);
  const way = slider("Share of the way to the other picture", 0, 1, 0.01, (share) => {
    if (app.state.other === null) return;
    app.change(onTheWay(app.state.base, app.codeOf(app.state.other), share));
    way.set(share, percent(share));
  });
  const other = element("button", { type: "button", onclick: () => app.takeOther() }, "take the chosen picture as the other end");
  const said = element("span", {});
  holder.append(
    element("p", {}, "Choose a picture, take it as the other end, then choose the picture to start from."),
    element("div", { className: "values" }, other, said), element("div", { className: "slide" }, way.range, way.number), strip);
  return () => {
    const { other: end } = app.state;
    said.textContent = end === null ? "" : `The other end is picture ${end + 1}.`;
    way.set(end === null ? null : (shareOf(app.state.code, app.state.base, app.codeOf(end)) || 0), "");
    if (!holder.open || end === null) return;
    decodeAll(app, strip, canvases, (i) => onTheWay(app.state.base, app.codeOf(end), i / (STEPS - 1)));
  };
}

const SIDE = 4;

// Characteristics of the pictures above, all else of those on the left.
function swaps(app, holder) {
  if (!app.data.swap || app.pictures.length < 2) return null;
  const count = app.pictures.length;
  const chosen = { above: [], left: [] };
  for (let i = 0; i < SIDE; i++) {
    chosen.above.push(i % count);
    chosen.left.push((i + SIDE) % count);
  }
  const table = element("div", { className: "swaps", role: "group", "aria-label": "Swaps" });
  const canvases = [], heads = [];
  const head = (side, i) => {
    const canvas = element("canvas", {}), what = side === "above" ? "characteristics" : "style";
    const button = element("button", { type: "button", className: "thumb", "aria-label": `Take the chosen picture here, for its ${what}: ${side} ${i + 1}` }, canvas);
    button.addEventListener("click", () => {
      if (app.state.picture === null) return;
      chosen[side][i] = app.state.picture;
      preview();
    });
    heads.push(() => draw(canvas, app.pictures[chosen[side][i]], app.data.image));
    return button;
  };
  table.append(element("span", {}), ...Array.from({ length: SIDE }, (_, i) => head("above", i)));
  for (let row = 0; row < SIDE; row++) {
    table.append(head("left", row));
    for (let column = 0; column < SIDE; column++) {
      const canvas = element("canvas", { role: "img", "aria-label": `Characteristics of ${column + 1} above, style of ${row + 1} on the left` });
      canvases.push(canvas);
      table.append(canvas);
    }
  }
  function code(i) {
    const [above, left] = [chosen.above[i % SIDE], chosen.left[Math.floor(i / SIDE)]];
    if (app.data.swap !== "relabel") return swapped(app.codeOf(above), app.codeOf(left), app.data.swap);
    return app.model.encode(app.pictures[left], app.model.read(app.codeOf(above), null).map(largest));
  }
  function preview() {
    heads.forEach((each) => each());
    if (holder.open) decodeAll(app, table, canvases, code);
  }
  holder.append(element("p", {}, "Each picture has the characteristics of the one above it and all else of the one on its left. A picture at an edge becomes the chosen one if you press it."), table);
  holder.addEventListener("toggle", preview);
  return null;
}

const DRAWN = 8;

// Pictures from labels alone, or from the prior.
function generation(app, holder) {
  if (!app.data.generate) return null;
  const fromLabels = app.data.generate === "labels";
  const selects = fromLabels ? app.data.labels.map((control) => chooser(`Generate with ${control.name}`, ["any", ...control.values], () => {})) : [];
  const strip = element("div", { className: "strip" });
  const named = selects.map((select, i) => element("label", {}, `${app.data.labels[i].name} `, select));
  const buttons = [];
  for (let i = 0; i < DRAWN; i++) {
    const canvas = element("canvas", {}), made = { code: null };
    const button = element("button", { type: "button", className: "thumb", hidden: true, "aria-label": `Explore drawn picture ${i + 1}`, onclick: () => app.adopt(made.code) }, canvas);
    buttons.push({ button, canvas, made });
    strip.append(button);
  }
  const any = (control) => Math.floor(Math.random() * control.values.length);
  const go = element("button", {
    type: "button",
    onclick: () => {
      for (const { button, made } of buttons) {
        button.hidden = false;
        made.code = app.model.generate(selects.map((select, i) => (Number(select.value) ? Number(select.value) - 1 : any(app.data.labels[i]))));
      }
      decodeAll(app, strip, buttons.map((each) => each.canvas), (i) => buttons[i].made.code);
    },
  }, `draw ${DRAWN} pictures`);
  holder.append(
    element("p", {}, fromLabels ? "No picture is needed: labels and everything else are drawn from the model. Press a picture to explore it." : "The latents are drawn from the prior. Press a picture to explore it."),
    element("div", { className: "options" }, ...named), go, strip);
  return null;
}

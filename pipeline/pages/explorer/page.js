// The page: its state, and what happens when something is chosen or moved.

async function open() {
  const byId = (name) => document.getElementById(name);
  const data = JSON.parse(byId("data").textContent);
  const model = makeModel(data, bytesOf(byId("weights").textContent));
  const pictures = await picturesOf(byId("sheet").textContent, data.pictures.rows.length, data.image);
  const codes = new Map(), rows = [], renders = [];
  const state = { picture: null, pixels: null, given: null, base: new Float32Array(model.size), code: new Float32Array(model.size), other: null };
  let seen = null, waiting = false;

  const app = {
    data, model, pictures, state,
    known: (picture) => (model.needsLabels ? data.pictures.labels[picture] : null),
    codeOf(picture) {
      if (!codes.has(picture)) codes.set(picture, model.encode(pictures[picture], app.known(picture)));
      return codes.get(picture);
    },
    reads: () => (model.reads ? model.read(state.code, model.readsPixels ? model.decode(state.code) : null) : null),
    choose(picture) {
      Object.assign(state, { picture, pixels: pictures[picture], given: null });
      app.begin(app.codeOf(picture));
    },
    // A picture of the user's, or one that was drawn.
    own(pixels) {
      Object.assign(state, { picture: null, pixels, given: null });
      app.begin(model.encode(pixels));
    },
    adopt(code) {
      Object.assign(state, { picture: null, pixels: null, given: null });
      app.begin(code);
      byId("look").scrollIntoView({ block: "nearest" });
    },
    begin(code) {
      state.base = state.code = Float32Array.from(code);
      rows.forEach((row) => row.start());
      app.render();
    },
    change(code) {
      state.code = Float32Array.from(code);
      app.render();
    },
    // MVAE: the picture encoded again, with one of its known or predicted labels changed.
    relabel(label, value) {
      const given = state.given || model.read(state.base, null).map(largest);
      given[label] = value;
      app.encodeWith(given);
      app.render();
    },
    encodeWith(given) {
      state.given = given;
      state.base = state.code = model.encode(state.pixels, given);
    },
    reset(control) {
      if (control.way === "shift") {
        const { share, at } = pathOf(control, 0, 1);
        app.change(at(state.code, 0, share(state)));
      } else app.change(withLatents(state.code, control.place, state.base.slice(...control.place)));
    },
    takeOther() {
      if (state.picture === null) return;
      state.other = state.picture;
      app.render();
    },
    render() {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        show();
      });
    },
  };

  function show() {
    const start = performance.now(), pixels = model.decode(state.code), took = performance.now() - start;
    draw(byId("now"), pixels, data.image);
    byId("time").textContent = `Decoded in ${took.toFixed(0)} ms.`;
    if (seen !== state.base) {
      seen = state.base;
      draw(byId("reconstruction"), model.decode(state.base), data.image);
      byId("original").parentElement.hidden = !state.pixels;
      if (state.pixels) draw(byId("original"), state.pixels, data.image);
    }
    const reads = model.read(state.code, pixels);
    rows.forEach((row) => row.render(reads));
    renders.forEach((each) => each());
    thumbs.forEach((thumb, i) => thumb.setAttribute("aria-pressed", String(i === state.picture)));
    const address = addressOf(state);
    if (address !== location.hash) history.replaceState(null, "", address);
    document.body.dataset.shown = String(Number(document.body.dataset.shown || 0) + 1);
  }

  function restore() {
    const asked = askedFor(location.hash, pictures.length, data.labels, model.size);
    if (asked.picture === null && asked.changes.size === model.size) {
      Object.assign(state, { picture: null, pixels: null, given: null });
      app.begin(Float32Array.from({ length: model.size }, (_, i) => asked.changes.get(i)));
    } else {
      if (pictures.length) app.choose(asked.picture === null ? 0 : asked.picture);
      if (asked.given && state.pixels && model.needsLabels === false && data.swap === "relabel") app.encodeWith(asked.given);
      const code = Float32Array.from(state.base);
      asked.changes.forEach((value, i) => (code[i] = value));
      app.change(code);
    }
    state.other = asked.other;
  }

  const labelsOf = (picture) =>
    data.labels.map((label, i) => [label, data.pictures.labels[picture][i]]).filter(([, value]) => value !== null)
      .map(([label, value]) => `${label.name} ${label.values[value]}`).join(", ");
  const thumbs = pictures.map((pixels, i) => {
    const canvas = element("canvas", {});
    draw(canvas, pixels, data.image);
    const said = `Picture ${i + 1} (row ${data.pictures.rows[i]} of ${data.pictures.split})${data.labels.length ? `: ${labelsOf(i)}` : ""}`;
    return element("button", { type: "button", className: "thumb", title: said, "aria-label": said, onclick: () => app.choose(i) }, canvas);
  });
  byId("thumbs").append(...thumbs);

  byId("title").textContent = data.title;
  byId("facts").textContent = Object.entries(data.facts).map(([name, value]) => `${name}: ${value}`).join(" · ");
  byId("limits").append(...data.limits.map((sentence) => element("li", {}, sentence)));
  const moves = data.labels.some((label) => label.centres), draws = data.labels.some((label) => label.draw === "gaussian");
  byId("explained").textContent = [
    moves ? "A slider goes from what is typical of one value to what is typical of another, and half as far again." : "",
    draws ? "“Draw” takes a new look of a value from the model, again and again." : "",
  ].join(" ");
  data.labels.forEach((control, label) => {
    if (control.way === "none" && !model.reads) return;
    const row = labelRow(app, label);
    rows[label] = row;
    byId("labels").append(row.row);
  });
  if (data.reference && data.reference.place) {
    const { place, latents } = data.reference;
    const take = element("button", { type: "button", onclick: () => app.change(withLatents(state.code, place, latents)) }, "give it the target factors of the reference set");
    byId("labels").append(element("div", { className: "values" }, take));
  }
  const renderLatents = latentSliders(app, byId("latents"));
  renders.push(() => byId("latents").open && renderLatents());
  byId("latents").addEventListener("toggle", renderLatents);
  const sections = { plane: plane(app, byId("plane"), rows), walk: walk(app, byId("walk")), swap: swaps(app, byId("swap")), generate: generation(app, byId("generate")) };
  if (!data.generate) byId("generate").remove();
  else if (data.generate === "prior") byId("generate").querySelector("summary").textContent = "Pictures of nobody: from the prior";
  if (!data.swap || pictures.length < 2) byId("swap").remove();
  if (!sections.plane) byId("plane").remove();
  if (pictures.length < 2) byId("walk").remove();
  else {
    byId("walk").addEventListener("toggle", sections.walk);
    renders.push(sections.walk);
  }
  let planeOf = null;
  renders.push(() => {
    if (sections.plane && planeOf !== state.base) sections.plane();
    planeOf = state.base;
  });

  async function take(file) {
    if (model.needsLabels) {
      byId("told").textContent = "This model encodes pictures with known labels only, so it cannot take one of your own.";
      return;
    }
    try {
      app.own(await ownPicture(file, data.image));
      byId("told").textContent = `${file.name} is cut to the model's proportions and size.`;
    } catch {
      byId("told").textContent = `${file.name} is no picture that this browser can open.`;
    }
  }
  byId("file").addEventListener("change", (event) => event.target.files[0] && take(event.target.files[0]));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
  byId("reset").addEventListener("click", () => app.change(state.base));
  byId("save").addEventListener("click", () => save(byId("now"), "changed.png"));
  byId("save-both").addEventListener("click", () => {
    const shown = ["original", "reconstruction", "now"].map(byId).filter((canvas) => !canvas.parentElement.hidden);
    const context = contextOf(shown.reduce((sum, canvas) => sum + canvas.width, 0), shown[0].height);
    shown.reduce((left, canvas) => (context.drawImage(canvas, left, 0), left + canvas.width), 0);
    save(context.canvas, "pictures.png");
  });
  byId("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      byId("told").textContent = "The address is copied.";
    } catch {
      byId("told").textContent = "The browser does not allow copying; the address is in its address bar.";
    }
  });
  addEventListener("hashchange", restore);
  window.explorer = app; // for the console
  restore();
}

open();

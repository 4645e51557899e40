// A row of controls for each label, and a slider for each latent.

const percent = (share) => `${(100 * share).toFixed(share > 0.995 || share < 0.005 ? 1 : 0)} %`;

function chooser(name, values, changed) {
  const select = element("select", { "aria-label": name, onchange: () => changed(Number(select.value)) });
  values.forEach((value, i) => select.append(element("option", { value: i }, value)));
  return select;
}

// The way of one label's slider: the part of the code that it moves, its two ends, and the way back into a code.
function pathOf(control, from, to) {
  if (!control.centres) return null;
  const [start, end] = [control.centres[from], control.centres[to]];
  if (control.way === "shift")
    return {
      share: (state) => shareOf(state.code.map((value, i) => value - state.base[i]), start.map(() => 0), end.map((value, i) => value - start[i])),
      at: (code, share, now) => code.map((value, i) => value + (share - now) * (end[i] - start[i])),
    };
  return {
    share: (state) => shareOf(state.code.slice(...control.place), start, end),
    at: (code, share) => withLatents(code, control.place, onTheWay(start, end, share)),
  };
}

function labelRow(app, label) {
  const control = app.data.labels[label], { values } = control, several = values.length > 2;
  let ends = [0, 1];
  const name = () => `${control.name}: from ${values[ends[0]]} to ${values[ends[1]]}`;
  const reading = element("output", { className: "reads" });
  const known = element("span", { className: "known" });
  const row = element("fieldset", { className: "label" }, element("legend", {}, control.name));

  let moves = null;
  const path = () => pathOf(control, ...ends);
  if (control.centres && values.length > 1) {
    moves = slider(name(), -0.5, 1.5, 0.01, (share) => {
      const way = path();
      app.change(way.at(app.state.code, share, way.share(app.state)));
    });
    const marks = ends.map((_, i) => element("span", { className: i ? "mark end" : "mark" }));
    row.append(element("div", { className: "slide" }, moves.range, moves.number), element("div", { className: "marks" }, ...marks));
    moves.marks = marks;
  }
  const choosers = [];
  if (moves && several) {
    for (const [i, word] of ["from", "to"].entries()) {
      const select = chooser(`${control.name}: ${word}`, values, (value) => {
        ends[i] = value;
        moves.range.setAttribute("aria-label", name());
        app.render();
      });
      choosers.push(select);
    }
    row.append(element("div", { className: "ends" }, "from ", choosers[0], " to ", choosers[1]));
  }

  const set = (value) => {
    if (control.way === "relabel") app.relabel(label, value);
    else app.change(withLatents(app.state.code, control.place, app.model.draw(label, value)));
  };
  const canDraw = control.draw || control.way === "relabel";
  const anew = control.draw === "gaussian" || control.draw === "accepted";
  const buttons = canDraw
    ? values.map((value, i) => element("button", { type: "button", onclick: () => set(i), "aria-label": `${anew ? "Draw" : "Set"} ${control.name}: ${value}` }, `${anew ? "draw " : ""}${value}`))
    : [];
  const reset = element("button", { type: "button", className: "reset", "aria-label": `Reset ${control.name}`, onclick: () => app.reset(control) }, "reset");
  row.append(element("div", { className: "values" }, ...buttons, control.way === "none" || control.way === "relabel" ? null : reset, element("span", { className: "said" }, known, " ", reading)));

  function render(reads) {
    const { state } = app;
    const labelled = state.picture === null ? undefined : app.data.pictures.labels[state.picture][label];
    known.textContent = labelled === undefined ? "" : labelled === null ? "label not known," : `labelled ${values[labelled]}${reads ? "," : ""}`;
    if (reads) {
      const own = reads[label], best = largest(own);
      reading.textContent = `${app.model.readsPixels ? "seen as" : "read as"} ${values[best]} (${percent(own[best])})`;
      reading.title = own.map((share, i) => `${values[i]}: ${percent(share)}`).join("\n");
    }
    buttons.forEach((button, i) => {
      if (control.way === "relabel") {
        button.disabled = !state.pixels;
        button.setAttribute("aria-pressed", String(Boolean(state.given) && state.given[label] === i));
      } else if (control.way === "value")
        button.setAttribute("aria-pressed", String(control.means[i].every((value, k) => Math.abs(value - state.code[control.place[0] + k]) < 1e-6)));
    });
    if (!moves) return;
    choosers.forEach((select, i) => (select.value = ends[i]));
    const share = path().share(state);
    moves.set(share, share === null ? "" : `${share.toFixed(2)} of the way from ${values[ends[0]]} to ${values[ends[1]]}`);
    row.classList.toggle("same", share === null);
    if (share === null) known.textContent += " its typical values coincide,";
    const length = moves.range.max - moves.range.min;
    moves.marks.forEach((mark, i) => {
      const at = (i - Number(moves.range.min)) / length;
      mark.classList.toggle("close", length > 3); // their names would be written over each other
      mark.textContent = values[ends[i]];
      mark.style.left = `${(100 * at).toFixed(1)}%`;
    });
  }
  // The slider starts at what the picture shows.
  function start() {
    if (!moves || !several) return;
    const labelled = app.state.picture === null ? null : app.data.pictures.labels[app.state.picture][label];
    const reads = app.reads();
    const now = labelled !== null && labelled !== undefined ? labelled : reads ? largest(reads[label]) : 0;
    ends = [now, (now + 1) % values.length];
    moves.range.setAttribute("aria-label", name());
  }
  return { row, render, start, path, name };
}

function latentSliders(app, holder) {
  const sliders = Array.from({ length: app.model.size }, (_, position) => {
    const name = app.model.nameOf(position);
    const made = slider(`Latent ${name}`, -4, 4, 0.01, (value) => app.change(withLatents(app.state.code, [position, position + 1], [value])));
    holder.append(element("div", { className: "latent" }, element("span", {}, name), made.range, made.number));
    return made;
  });
  return () => sliders.forEach((made, position) => made.set(app.state.code[position], ""));
}

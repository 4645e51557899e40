// Figures behind thumbnails: in a window of the page if they are in it, else the file itself.

const FIGURES_SHOWN = 240;

function viewer(figures) {
  const byId = (name) => document.getElementById(name), dialog = byId("viewer");
  let list = [], place = 0;
  function show(step = 0) {
    place = (place + step + list.length) % list.length;
    const figure = figures[list[place]], text = `${figure.cell ? `${figure.cell}: ` : ""}${figure.name}`;
    byId("viewed").textContent = `${text} (${place + 1} of ${list.length})`;
    byId("large").src = `data:image/webp;base64,${byId(figure.full).textContent}`;
    byId("large").alt = text;
    byId("file").href = figure.href;
    byId("file").hidden = !figure.href;
  }
  byId("earlier").addEventListener("click", () => show(-1));
  byId("later").addEventListener("click", () => show(1));
  const zoom = () => byId("whole").setAttribute("aria-pressed", String(byId("large").classList.toggle("whole")));
  byId("whole").addEventListener("click", zoom);
  byId("large").addEventListener("click", zoom);
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(-1);
    if (event.key === "ArrowRight") show(1);
  });
  return (figure, others) => {
    list = others.filter((i) => figures[i].full);
    place = list.indexOf(figure);
    show();
    dialog.showModal();
  };
}

// A thumbnail; "others" are the figures that follow and precede it in the window.
function thumbnail(figures, i, others, open, caption) {
  const { full, thumb, href, cell, name } = figures[i], alt = `${cell ? `${cell}: ` : ""}${name}`;
  const picture = thumb ? element("img", { src: `data:image/webp;base64,${thumb}`, alt, loading: "lazy" }) : "its file";
  const way = full
    ? element("button", { type: "button", "aria-label": `Open ${alt}`, onclick: () => open(i, others) }, picture)
    : element("a", { href, target: "_blank", rel: "noopener", title: "a file in the sweep's folder" }, picture);
  return element("figure", {}, way, element("figcaption", {}, caption));
}

function figuresPart(figures, own, open) {
  const names = [...new Set(own.map((i) => figures[i].name))].sort();
  const select = element("select", { "aria-label": "Figure" }, element("option", { value: "" }, "of each cell"), ...names.map((name) => element("option", { value: name }, name)));
  const shown = element("div"), more = element("button", { type: "button" });
  let named = null, most = FIGURES_SHOWN;
  if (own.length > FIGURES_SHOWN) select.value = names[0];

  function show() {
    const of = own.filter((i) => (!named || named.has(figures[i].cell)) && (!select.value || figures[i].name === select.value));
    const listed = of.slice(0, most), cells = [...new Set(listed.map((i) => figures[i].cell))];
    const row = (list, caption) => element("div", { className: "thumbs" }, ...list.map((i) => thumbnail(figures, i, of, open, caption(figures[i]))));
    if (select.value) shown.replaceChildren(row(listed, (figure) => figure.cell));
    else shown.replaceChildren(...cells.flatMap((cell) => [element("h3", {}, cell), row(listed.filter((i) => figures[i].cell === cell), (figure) => figure.name)]));
    more.hidden = listed.length === of.length;
    more.textContent = `show more of ${of.length.toLocaleString("en")} figures`;
  }
  more.addEventListener("click", () => ((most += FIGURES_SHOWN), show()));
  select.addEventListener("change", show);
  show();
  return {
    parts: [element("div", { className: "row" }, element("label", {}, "figures", select)), shown, more],
    only(cells) {
      named = cells;
      show();
    },
  };
}

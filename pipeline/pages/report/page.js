// The report of a sweep: its parts in their order, each left out if there is nothing in it.

function open() {
  const byId = (name) => document.getElementById(name), data = JSON.parse(byId("data").textContent);
  const list = (facts) => element("dl", {}, ...facts.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
  const shown = () => (document.body.dataset.shown = String(Number(document.body.dataset.shown || 0) + 1));
  const openFigure = viewer(data.figures);
  const thumbs = (of) => element("div", { className: "thumbs" }, ...of.map((i) => thumbnail(data.figures, i, of, openFigure, data.figures[i].name)));
  const table = (content, options) => (content.rows.length ? tableView(content, options).parts : []);

  function part(id, heading, children) {
    if (!children.length) return;
    const title = element("h2", { id: `${id}-heading` }, heading);
    byId("parts").append(element("section", { id, "aria-labelledby": title.id }, title, ...children));
    byId("places").append(element("a", { href: `#${id}` }, heading));
  }

  byId("title").textContent = data.title;
  byId("facts").textContent = data.facts.map(([name, text]) => `${name}: ${text}`).join(" · ");
  byId("notes").append(...data.notes.map((note) => element("li", {}, note)));

  const curves = data.curves.cells.length ? curvesPart(data.curves) : null;
  const own = data.figures.map((_, i) => i).filter((i) => data.figures[i].cell);
  const figures = own.length ? figuresPart(data.figures, own, openFigure) : null;
  const cells = tableView(data.cells, {
    filter: true,
    changed(rows) {
      const names = rows.length === data.cells.rows.length ? null : new Set(rows.map(([name]) => name));
      if (curves) curves.only(names);
      if (figures) figures.only(names);
      shown();
    },
  });
  part("started", "What was started", [list(data.started)]);
  part("cells", "Cells", cells.parts);
  part("failures", "What failed or stopped, and why", table(data.failures));
  part("rates", "Measures over the supervision rate", data.rates.metrics.length ? ratesPart(data.rates) : []);
  part("papers", "The papers' tables and figures", data.papers.flatMap((paper) => [
    element("h3", {}, paper.title),
    ...paper.tables.flatMap((each) => [element("p", { className: "small" }, each.name), ...table(each, { filter: false })]),
    ...(paper.figures.length ? [thumbs(paper.figures)] : []),
    ...(paper.href ? [element("p", { className: "small" }, element("a", { href: paper.href, target: "_blank", rel: "noopener" }, "as Markdown"))] : []),
  ]));
  part("curves", "Learning curves", curves ? curves.parts : []);
  part("figures", "Figures", figures ? figures.parts : []);
  part("data", "Data", data.data.flatMap((each) => [
    element("h3", {}, each.title),
    list(each.facts),
    ...(each.sheet ? [element("img", { className: "sheet", src: `data:image/webp;base64,${byId(each.sheet).textContent}`, alt: `Pictures of each label of ${each.title}` })] : []),
    ...table(each.labels),
  ]));
  part("again", "To make it again", data.commands.flatMap(([what, command]) => [
    element("p", { className: "small" }, what),
    element("div", { className: "row" }, element("pre", {}, command), element("button", { type: "button", onclick: () => copied(command, "The command") }, "copy")),
  ]));
  for (const event of ["click", "input", "change"]) byId("parts").addEventListener(event, shown);
  shown();
}

open();

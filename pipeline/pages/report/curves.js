// Learning curves: one term, a line per run, a colour per group of runs that differ in their seeds.

const MOST_LINES = 400;

function curvesPart(curves) {
  const select = element("select", { "aria-label": "Term" }, ...curves.terms.map((term, i) => element("option", { value: i }, term)));
  const from = element("input", { type: "number", min: 0, step: 1, value: 0, "aria-label": "From epoch" });
  const count = element("span", { className: "count" }), drawn = plot("Learning curves", { across: "epoch", up: "term", series: [] });
  const groups = element("div");
  let named = null, left = new Set(), known = "";

  function show() {
    const term = Number(select.value), start = Number(from.value) || 0;
    const here = curves.cells.filter((cell) => cell.values[term] && (!named || named.has(cell.name)));
    const of = [...new Set(here.map((cell) => cell.group))].sort((a, b) => a - b);
    if (known !== of.join()) {
      known = of.join();
      left = new Set();
      groups.replaceChildren(legend(of.map((group) => ({ name: curves.groups[group], number: group })), (off) => ((left = off), show())));
    }
    const lines = here.filter((cell) => !left.has(curves.groups[cell.group]));
    const listed = lines.slice(0, MOST_LINES);
    count.textContent = listed.length === lines.length ? counted(lines.length, "run") : `the first ${listed.length} of ${lines.length} runs: filter the table of cells for others`;
    drawn.show(
      listed.map((cell) => ({
        name: cell.name, number: cell.group, faint: lines.length > 20,
        points: cell.epochs.map((epoch, i) => ({ x: epoch, y: cell.values[term][i] ?? NaN, said: `epoch ${shownValue(epoch, "number")}: ${curves.terms[term]} ${shownValue(cell.values[term][i], "number")}` })).filter((point) => point.x >= start),
      })),
    );
  }
  select.addEventListener("change", show);
  from.addEventListener("input", show);
  show();
  return {
    parts: [element("div", { className: "row" }, element("label", {}, "term", select), element("label", {}, "from epoch", from), count), drawn.holder, groups],
    only(names) {
      named = names;
      show();
    },
  };
}

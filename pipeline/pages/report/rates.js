// A measure over the supervision rate: ours with standard deviations, the papers' dashed.

// Where rates lie: on a logarithmic axis, 0 to the left of all others.
function rateAxis(rates) {
  const above = [...new Set(rates)].filter((rate) => rate > 0).sort((a, b) => a - b);
  const place = (rate) => (rate > 0 ? Math.log10(rate) : Math.log10(above[0] || 1) - 0.5);
  return { place, at: [...(rates.includes(0) ? [0] : []), ...above].map((rate) => ({ x: place(rate), text: String(rate) })) };
}

const withDeviation = (mean, sd) => shownValue(mean, "number") + (sd ? ` ± ${shownValue(sd, "number")}` : "");

// The lines of one metric on one data set.
function rateLines(rates, metric, data) {
  const values = rates.values[metric].filter(([row]) => rates.rows[row][0] === data);
  const papers = rates.papers[metric].filter(([of]) => of === data);
  const all = [...values.map(([row]) => rates.rows[row][3]), ...papers.flatMap(([, , , points]) => points.map(([rate]) => rate))];
  const { place, at } = rateAxis(all), lines = new Map();
  for (const [row, mean, sd, n, paper, difference] of values) {
    const [, name, number, rate, epochs] = rates.rows[row];
    if (!lines.has(name)) lines.set(name, { name, number, marks: true, points: [] });
    const printed = paper === null ? "" : `\npaper ${shownValue(paper, "number")}, difference ${difference > 0 ? "+" : ""}${shownValue(difference, "number")}`;
    lines.get(name).points.push({ x: place(rate), y: mean, sd, said: `f = ${rate}: ${withDeviation(mean, sd)} (n = ${n}, ${counted(Number(epochs), "epoch")})${printed}` });
  }
  const series = [...lines.values()];
  for (const line of series) line.points.sort((a, b) => a.x - b.x);
  for (const [, name, number, points] of papers) {
    series.push({ name, number, marks: true, dashed: true, points: points.map(([rate, value, sd]) => ({ x: place(rate), y: value, sd, said: `f = ${rate}: ${withDeviation(value, sd)}` })) });
  }
  // At a single rate the lines would be points on top of each other: they get places next to each other.
  if (at.length === 1) {
    series.forEach((line, i) => line.points.forEach((point) => (point.x = i)));
    return { series, at: series.map((line, i) => ({ x: i, text: line.name.split(" ")[0].slice(0, 12) })), across: `at f = ${at[0].text}` };
  }
  return { series, at, across: "supervision rate f" };
}

function ratesPart(rates) {
  const select = element("select", { "aria-label": "Measure" }, ...rates.metrics.map((metric, i) => element("option", { value: i }, metric.name)));
  const about = element("span", { className: "count" }), panels = element("div", { className: "panels" }), below = element("div");
  const columns = [
    ["data", "text"], ["system", "text"], ["f", "number"], ["epochs", "number"], ["mean", "number"], ["sd", "number"], ["n", "number"],
    ["paper", "number"], ["difference", "number"], ["paper's source", "long"], ["differs from the paper in", "long"],
  ].map(([name, kind]) => ({ name, kind, about: "", first: true }));

  function show() {
    const metric = Number(select.value), values = rates.values[metric];
    about.textContent = rates.metrics[metric].about;
    const sets = [...new Set(values.map(([row]) => rates.rows[row][0]))];
    panels.replaceChildren(
      ...sets.map((data) => {
        const { series, at, across } = rateLines(rates, metric, data);
        const drawn = plot(data, { across, up: rates.metrics[metric].name, series, at });
        return element("div", {}, element("h3", {}, data), drawn.holder, legend(series, (left) => drawn.show(series.filter((line) => !left.has(line.name)))));
      }),
    );
    const rows = values.map(([row, mean, sd, n, paper, difference, source, differs]) => {
      const [data, name, , rate, epochs] = rates.rows[row];
      return [data, name, rate, epochs, mean, sd, n, paper, difference, source, differs];
    });
    const filled = columns.map((_, i) => i).filter((i) => rows.some((row) => row[i] !== null && row[i] !== ""));
    const kept = (list) => filled.map((i) => list[i]);
    below.replaceChildren(...tableView({ name: `The table of ${rates.metrics[metric].name}`, columns: kept(columns), rows: rows.map(kept), notes: rates.notes }).parts);
  }
  select.addEventListener("change", show);
  show();
  return [element("div", { className: "row" }, element("label", {}, "measure", select), about), panels, below];
}

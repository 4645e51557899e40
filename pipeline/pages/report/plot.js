// Plots as SVG: lines with marks, bars of a standard deviation, the values of the nearest point.

const COLOURS = 7, SHAPES = 5, LEFT = 56, RIGHT = 12, TOP = 10, BOTTOM = 34;

function svg(name, properties = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// A mark of a series: five shapes in seven colours.
function mark(x, y, number, size = 4, hollow = false) {
  const shape = Math.floor(number / COLOURS) % SHAPES, colour = number % COLOURS;
  const corners = {
    1: [[-1, -1], [1, -1], [1, 1], [-1, 1]],
    2: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
    3: [[0, -1.2], [1.2, 1], [-1.2, 1]],
    4: [[0, 1.2], [1.2, -1], [-1.2, -1]],
  }[shape];
  const style = { class: `s${colour} ${hollow ? "hollow" : `f${colour}`}` };
  if (!corners) return svg("circle", { cx: x, cy: y, r: size, ...style });
  return svg("polygon", { points: corners.map(([dx, dy]) => `${x + dx * size},${y + dy * size}`).join(" "), ...style });
}

// Round numbers between two others, about so many.
function ticks(low, high, about) {
  const rough = (high - low) / about, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  return found;
}

const range = (numbers) => numbers.reduce(([low, high], number) => [Math.min(low, number), Math.max(high, number)], [Infinity, -Infinity]);

// series: [{ name, number, dashed, marks, faint, points: [{ x, y, sd, said }] }]; at: [{ x, text }] or none.
function plot(title, { across, up, series, at = null }) {
  const holder = element("div", { className: "plot" }), tip = element("div", { className: "tip", role: "status" });
  let placed = [], chosen = null, spot = null;

  function draw() {
    const width = Math.max(240, Math.min(holder.clientWidth || 640, 900)), height = Math.round(Math.min(320, Math.max(220, width * 0.5)));
    const points = series.flatMap((each) => each.points).filter((point) => Number.isFinite(point.y));
    let [low, high] = range(points.flatMap((point) => (point.sd ? [point.y - point.sd, point.y + point.sd] : [point.y])));
    let [first, last] = at ? range(at.map((tick) => tick.x)) : range(points.map((point) => point.x));
    if (!points.length) [low, high, first, last] = [0, 1, 0, 1];
    if (low === high) [low, high] = [low - Math.abs(low || 1) * 0.05, high + Math.abs(high || 1) * 0.05];
    if (first === last) [first, last] = [first - 1, last + 1];
    const margin = (high - low) * 0.05, pad = at ? (last - first) * 0.06 : 0;
    const x = (value) => LEFT + ((value - first + pad) / (last - first + 2 * pad)) * (width - LEFT - RIGHT);
    const y = (value) => TOP + ((high + margin - value) / (high - low + 2 * margin)) * (height - TOP - BOTTOM);
    const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, tabindex: 0, role: "img", "aria-label": `${title}: ${up} over ${across}, ${series.length} lines; arrow keys go from point to point` });
    for (const value of ticks(low - margin, high + margin, 5)) {
      drawn.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }), svg("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, shownValue(Number(value.toPrecision(6)))));
    }
    const marked = at || ticks(first, last, width / 90).map((value) => ({ x: value, text: shownValue(Number(value.toPrecision(6))) }));
    let free = -Infinity;
    for (const tick of marked) {
      drawn.append(svg("line", { class: "grid", x1: x(tick.x), x2: x(tick.x), y1: TOP, y2: height - BOTTOM }));
      const half = tick.text.length * 3.1;
      if (x(tick.x) - half < free) continue; // would lie on the one before
      free = x(tick.x) + half + 4;
      drawn.append(svg("text", { x: x(tick.x), y: height - BOTTOM + 14, "text-anchor": "middle" }, tick.text));
    }
    drawn.append(svg("text", { x: (width + LEFT) / 2, y: height - 4, "text-anchor": "middle" }, across));
    placed = [];
    for (const each of series) {
      const colour = each.number % COLOURS;
      let path = "", gap = true;
      for (const point of each.points) {
        if (!Number.isFinite(point.y)) {
          gap = true;
          continue;
        }
        const place = { x: x(point.x), y: y(point.y), said: `${each.name}\n${point.said}` };
        path += `${gap ? "M" : "L"}${place.x.toFixed(1)} ${place.y.toFixed(1)}`;
        gap = false;
        placed.push(place);
      }
      drawn.append(svg("path", { class: `s${colour}${each.dashed ? " dashed" : ""}${each.faint ? " faint" : ""}`, d: path }));
      if (!each.marks) continue;
      for (const point of each.points.filter((one) => Number.isFinite(one.y))) {
        if (point.sd) drawn.append(svg("line", { class: `s${colour}`, x1: x(point.x), x2: x(point.x), y1: y(point.y - point.sd), y2: y(point.y + point.sd) }));
        drawn.append(mark(x(point.x), y(point.y), each.number, 4, each.dashed));
      }
    }
    spot = svg("circle", { class: "spot", r: 7, visibility: "hidden" });
    drawn.append(spot);
    drawn.addEventListener("pointermove", (event) => {
      const box = drawn.getBoundingClientRect(), scale = width / box.width;
      const [left, top] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      let nearest = null, least = Infinity;
      placed.forEach((place, i) => {
        const distance = (place.x - left) ** 2 + (place.y - top) ** 2;
        if (distance < least) [nearest, least] = [i, distance];
      });
      tell(nearest);
    });
    drawn.addEventListener("pointerleave", () => tell(null));
    drawn.addEventListener("blur", () => tell(null));
    drawn.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || !placed.length) return;
      event.preventDefault();
      tell(chosen === null ? 0 : (chosen + step + placed.length) % placed.length);
    });
    holder.replaceChildren(drawn, tip);
    tell(null);

    function tell(place) {
      chosen = place;
      tip.textContent = place === null ? "" : placed[place].said;
      spot.setAttribute("visibility", place === null ? "hidden" : "visible");
      if (place === null) return;
      const scale = (holder.clientWidth || width) / width, { x: left, y: top } = placed[place];
      spot.setAttribute("cx", left);
      spot.setAttribute("cy", top);
      tip.style.left = left > width / 2 ? "auto" : `${(left + 12) * scale}px`;
      tip.style.right = left > width / 2 ? `${(width - left + 12) * scale}px` : "auto";
      tip.style.top = `${Math.max(0, top * scale - 20)}px`;
    }
  }
  let before = 0;
  new ResizeObserver(() => {
    if (Math.abs(holder.clientWidth - before) < 2) return;
    before = holder.clientWidth;
    draw();
  }).observe(holder);
  return { holder, show: (others) => ((series = others), draw()) };
}

// Buttons that leave out a series and take it back; "changed" gets the names that are left out.
function legend(series, changed) {
  const left = new Set();
  return element(
    "div",
    { className: "legend", role: "group", "aria-label": "Lines" },
    ...series.map((each) => {
      const sample = svg("svg", { viewBox: "0 0 24 12", "aria-hidden": "true" }, svg("line", { class: `s${each.number % COLOURS}${each.dashed ? " dashed" : ""}`, x1: 0, x2: 24, y1: 6, y2: 6 }));
      if (each.marks) sample.append(mark(12, 6, each.number, 4, each.dashed));
      const button = element("button", { type: "button", "aria-pressed": "true" }, sample, each.name);
      button.addEventListener("click", () => {
        const off = !left.delete(each.name) && Boolean(left.add(each.name));
        button.setAttribute("aria-pressed", String(!off));
        changed(left);
      });
      return button;
    }),
  );
}

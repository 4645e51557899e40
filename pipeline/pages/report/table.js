// A table that sorts, filters, and copies itself as CSV.

const MOST_ROWS = 300;

const isNumber = (column) => column.kind === "number" || column.kind === "seconds";

const counted = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

// As it is read: few digits, hours of seconds.
function shownValue(value, kind) {
  if (value === null) return "";
  if (typeof value !== "number") return String(value);
  if (kind === "seconds") {
    const [hours, minutes, seconds] = [Math.floor(value / 3600), Math.floor(value / 60) % 60, Math.floor(value % 60)];
    return `${hours}:${String(minutes).padStart(2, "0")}:${String(seconds).padStart(2, "0")}`;
  }
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(3);
  return size >= 1000 ? value.toFixed(1) : String(Number(value.toPrecision(4)));
}

function asCsv(columns, rows) {
  const quoted = (value) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.map((column) => column.name), ...rows].map((row) => row.map(quoted).join(",")).join("\n") + "\n";
}

// Smaller numbers first, texts by their words and numbers; what is missing comes last in both directions.
function compared(one, other, number, sign) {
  const missing = (value) => value === null || value === "" || (number && typeof value !== "number");
  if (missing(one) || missing(other)) return Number(missing(one)) - Number(missing(other));
  return sign * (number ? one - other : String(one).localeCompare(String(other), "en", { numeric: true }));
}

async function copied(text, what) {
  const told = document.getElementById("told");
  let well = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { value: text, readOnly: true });
    (document.querySelector("dialog[open]") || document.body).append(area);
    area.select();
    well = document.execCommand("copy");
    area.remove();
  }
  told.textContent = well ? `${what} is copied.` : `The browser does not allow copying ${what}.`;
  setTimeout(() => (told.textContent = ""), 4000);
}

function cellOf(value, column, first) {
  const kind = isNumber(column) ? "number" : column.kind === "long" ? "wide" : "";
  if (column.kind === "link") {
    return element("td", {}, value ? element("a", { href: value, target: "_blank", rel: "noopener" }, column.name) : "");
  }
  const made = element(first ? "th" : "td", { className: kind }, shownValue(value, column.kind));
  if (first) made.scope = "row";
  if (column.kind === "phase") made.className = `phase-${value}`;
  if (typeof value === "number") made.title = String(value);
  return made;
}

// Its elements, "set" for other rows, and the rows that are shown; "changed" is told of another filter.
function tableView(table, { changed = () => {}, filter = table.rows.length > 5 } = {}) {
  const { columns } = table;
  let { rows } = table, sorted = null, sign = 1, everything = false, whole = false, found = rows;
  const head = element("tr"), body = element("tbody"), count = element("span", { className: "count" });
  const search = element("input", { type: "search", "aria-label": `Filter ${table.name}`, placeholder: "filter: words in any column" });
  const all = element("input", { type: "checkbox" });
  const rest = element("button", { type: "button", onclick: () => ((whole = true), draw()) });
  const shownColumns = () => columns.map((_, i) => i).filter((i) => everything || columns[i].first);

  function sort(i) {
    sign = sorted === i ? -sign : 1;
    sorted = i;
    draw();
  }
  function draw() {
    const at = shownColumns();
    head.replaceChildren(
      ...at.map((i) => {
        const button = element("button", { type: "button", title: columns[i].about, onclick: () => sort(i) }, columns[i].name);
        const th = element("th", { className: isNumber(columns[i]) ? "number" : "", scope: "col" }, button);
        th.setAttribute("aria-sort", sorted !== i ? "none" : sign > 0 ? "ascending" : "descending");
        return th;
      }),
    );
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.filter((row) => {
      const text = row.map((value) => (value === null ? "" : value)).join("\n").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    if (sorted !== null) found = [...found].sort((a, b) => compared(a[sorted], b[sorted], isNumber(columns[sorted]), sign));
    const listed = whole ? found : found.slice(0, MOST_ROWS);
    body.replaceChildren(...listed.map((row) => element("tr", {}, ...at.map((i, place) => cellOf(row[i], columns[i], place === 0)))));
    count.textContent = found.length === rows.length ? counted(rows.length, "row") : `${found.length.toLocaleString("en")} of ${counted(rows.length, "row")}`;
    rest.hidden = listed.length === found.length;
    rest.textContent = `show all ${found.length.toLocaleString("en")} rows`;
  }
  search.addEventListener("input", () => {
    draw();
    changed(found);
  });
  all.addEventListener("change", () => ((everything = all.checked), draw()));
  const copy = element("button", { type: "button", onclick: () => copied(asCsv(shownColumns().map((i) => columns[i]), found.map((row) => shownColumns().map((i) => row[i]))), table.name) }, "copy as CSV");
  const hidden = columns.filter((column) => !column.first).length;
  const scroll = element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": table.name }, element("table", {}, element("thead", {}, head), body));
  draw();
  return {
    parts: [
      element("div", { className: "row" }, filter ? search : null, hidden ? element("label", {}, all, `all ${columns.length} columns`) : null, copy, count),
      scroll,
      rest,
      element("ul", { className: "notes" }, ...table.notes.map((note) => element("li", {}, note))),
    ],
    set(others) {
      rows = others;
      whole = false;
      draw();
    },
  };
}

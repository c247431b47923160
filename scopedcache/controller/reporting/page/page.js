// The permission page: hears of rows by server-sent events, and shows those that fit the window.

const SIGNS = {
  allowed: ["✓", "good", "allowed"],
  denied: ["✕", "bad", "denied"],
  suspect: ["?", "doubt", "in doubt: the last answer was a no"],
  unauthenticated: ["!", "bad", "credentials refused"],
  absent: ["∅", "doubt", "the kind is not served"],
  unknown: ["…", "doubt", "no answer yet"],
  probing: ["…", "doubt", "not asked yet"],
  none: ["", "", "not in use"],
};
const LOST = new Set(["denied", "suspect", "unauthenticated", "absent"]);
const VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
const ROW_PIXELS = 28;
const ROWS_BEYOND = 8;

const state = { summary: {}, rights: {}, informers: {}, owners: {}, changes: {} };
let shown = "rights";
let filter = "";
let onlyMissing = false;

const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// -- a grid that holds as many rows as one likes -----------------------------------------------------------------

class Grid {
  constructor(host, onActivate) {
    this.onActivate = onActivate;
    this.head = make("div", { class: "head", role: "rowgroup" });
    this.body = make("div", { class: "body", role: "rowgroup" });
    this.element = make("div", { class: "grid", role: "grid", "aria-readonly": "true", "aria-describedby": "help" });
    this.element.append(this.head, this.body);
    host.append(this.element);
    this.rows = [];
    this.columns = [];
    this.active = { key: null, column: 0 };
    this.drawn = new Map();
    this.element.addEventListener("scroll", () => this.draw());
    this.element.addEventListener("keydown", (event) => this.pressed(event));
    this.element.addEventListener("click", (event) => this.clicked(event));
    this.element.addEventListener("focusin", (event) => this.focused(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  // columns: {title, label, width, group, kind}; cell(row, column): {text, label, className}
  show(name, columns, rows, cell) {
    this.cell = cell;
    this.rows = rows;
    this.index = new Map(rows.map((row, index) => [row.key, index]));
    const signature = JSON.stringify([name, columns]);
    if (signature !== this.signature) {
      this.signature = signature;
      this.columns = columns;
      this.element.setAttribute("aria-label", name);
      this.element.style.setProperty("--columns", columns.map((column) => column.width).join(" "));
      const pixels = columns.reduce((sum, column) => sum + Number(column.width.match(/\d+/)[0]), 0);
      this.element.style.setProperty("--width", `${pixels}px`);
      this.element.style.setProperty("--row", `${ROW_PIXELS}px`);
      this.drawHead();
      for (const drawn of this.drawn.values()) drawn.remove();
      this.drawn.clear();
      this.active.column = Math.min(this.active.column, columns.length - 1);
    }
    this.element.setAttribute("aria-rowcount", rows.length + this.head.children.length);
    this.element.setAttribute("aria-colcount", columns.length);
    this.body.style.height = `${Math.max(rows.length * ROW_PIXELS, ROW_PIXELS)}px`;
    if (!this.index.has(this.active.key)) this.active.key = rows.length ? rows[0].key : null;
    this.draw();
  }

  drawHead() {
    this.head.replaceChildren();
    if (this.columns.some((column) => column.group)) {
      const groups = make("div", { class: "row", role: "row", "aria-rowindex": 1 });
      for (let at = 0; at < this.columns.length; ) {
        const group = this.columns[at].group ?? "";
        let end = at + 1;
        while (group && end < this.columns.length && this.columns[end].group === group) end += 1;
        const cell = make("div", { class: group ? "cell group" : "cell first", role: "columnheader", "aria-colindex": at + 1, "aria-colspan": end - at }, group);
        cell.style.gridColumn = `span ${end - at}`;
        cell.title = group;
        groups.append(cell);
        at = end;
      }
      this.head.append(groups);
    }
    const row = make("div", { class: "row", role: "row", "aria-rowindex": this.head.children.length + 1 });
    this.columns.forEach((column, index) => {
      const cell = make("div", { class: `cell ${column.kind ?? ""} ${index ? "" : "first"}`, role: "columnheader", "aria-colindex": index + 1 }, column.title);
      if (column.label) cell.setAttribute("aria-label", column.label);
      row.append(cell);
    });
    this.head.append(row);
  }

  draw() {
    const top = Math.max(0, this.element.scrollTop);
    const first = Math.max(0, Math.floor(top / ROW_PIXELS) - ROWS_BEYOND);
    const last = Math.min(this.rows.length, Math.ceil((top + this.element.clientHeight) / ROW_PIXELS) + ROWS_BEYOND);
    const wanted = new Set();
    for (let index = first; index < last; index += 1) wanted.add(this.rows[index].key);
    if (this.active.key !== null) wanted.add(this.active.key);
    for (const [key, drawn] of this.drawn) {
      if (!wanted.has(key)) {
        drawn.remove();
        this.drawn.delete(key);
      }
    }
    const order = [...wanted].map((key) => this.index.get(key)).sort((a, b) => a - b);
    let before = null;
    for (const index of order) {
      const element = this.drawRow(this.rows[index], index);
      const place = before ? before.nextSibling : this.body.firstChild;
      if (place !== element) this.body.insertBefore(element, place);
      before = element;
    }
  }

  drawRow(row, index) {
    let element = this.drawn.get(row.key);
    if (!element) {
      element = make("div", { class: "row", role: "row" });
      element.dataset.key = row.key;
      this.columns.forEach((column, at) => {
        const role = at ? "gridcell" : "rowheader";
        element.append(make("div", { role, "aria-colindex": at + 1 }));
      });
      this.drawn.set(row.key, element);
    }
    element.setAttribute("aria-rowindex", index + this.head.children.length + 1);
    element.style.top = `${index * ROW_PIXELS}px`;
    this.columns.forEach((column, at) => {
      const { text, label, className } = this.cell(row, column);
      const cell = element.children[at];
      if (cell.textContent !== text) cell.textContent = text;
      const classes = `cell ${column.kind ?? ""} ${className ?? ""} ${at ? "" : "first"}`;
      if (cell.className !== classes) cell.className = classes;
      if (label) cell.setAttribute("aria-label", label);
      else cell.removeAttribute("aria-label");
      cell.title = label ?? text;
      cell.tabIndex = row.key === this.active.key && at === this.active.column ? 0 : -1;
    });
    return element;
  }

  move(rowStep, columnStep) {
    const at = this.index.get(this.active.key) ?? 0;
    const row = Math.max(0, Math.min(this.rows.length - 1, at + rowStep));
    const column = Math.max(0, Math.min(this.columns.length - 1, this.active.column + columnStep));
    this.activate(this.rows[row].key, column);
  }

  activate(key, column) {
    this.active = { key, column };
    const top = this.index.get(key) * ROW_PIXELS;
    const head = this.head.offsetHeight;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    const bottom = top + ROW_PIXELS + head;
    if (bottom > this.element.scrollTop + this.element.clientHeight) this.element.scrollTop = bottom - this.element.clientHeight;
    this.draw();
    this.drawn.get(key)?.children[column]?.focus({ preventScroll: false });
  }

  pressed(event) {
    if (!this.rows.length) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_PIXELS) - 2);
    const steps = {
      ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1],
      PageDown: [page, 0], PageUp: [-page, 0], Home: [0, -Infinity], End: [0, Infinity],
    };
    if (event.ctrlKey && event.key === "Home") this.move(-Infinity, -Infinity);
    else if (event.ctrlKey && event.key === "End") this.move(Infinity, Infinity);
    else if (event.key in steps) this.move(...steps[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.tell();
    else return;
    event.preventDefault();
  }

  placeOf(target) {
    const row = target.closest?.(".body .row");
    if (!row) return null;
    const column = [...row.children].indexOf(target.closest(".cell"));
    return column < 0 ? null : { key: row.dataset.key, column };
  }

  clicked(event) {
    const place = this.placeOf(event.target);
    if (!place) return;
    this.activate(place.key, place.column);
    this.tell();
  }

  focused(event) {
    const place = this.placeOf(event.target);
    if (place && (place.key !== this.active.key || place.column !== this.active.column)) {
      this.active = place;
      this.draw();
    }
  }

  tell() {
    const row = this.rows[this.index.get(this.active.key)];
    if (row) this.onActivate(row, this.columns[this.active.column]);
  }
}

// -- the four views ----------------------------------------------------------------------------------------------

const place = (namespace) => (namespace ? `in namespace ${namespace}` : "in the whole cluster");
const time = (unix) => new Date(unix * 1000).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const matches = (...words) => filter.split(/\s+/).every((part) => words.some((word) => word.toLowerCase().includes(part)));

function bytes(number) {
  for (const unit of ["B", "kB", "MB"]) {
    if (number < 1000) return `${number < 10 && unit !== "B" ? number.toFixed(1) : Math.round(number)} ${unit}`;
    number /= 1000;
  }
  return `${number.toFixed(1)} GB`;
}

function rightColumns() {
  const found = new Set();
  for (const cells of Object.values(state.rights)) for (const right of Object.keys(cells)) found.add(right);
  const columns = [...found].map((right) => {
    const [verb, resource] = right.split(" ");
    return { key: right, title: verb, label: right, width: "88px", group: resource, kind: "sign" };
  });
  const rank = (column) => (VERBS.indexOf(column.title) + 1 || 99) + column.title;
  columns.sort((a, b) => a.group.localeCompare(b.group) || VERBS.indexOf(a.title) - VERBS.indexOf(b.title) || rank(a).localeCompare(rank(b)));
  return [{ key: "", title: "Namespace", width: "minmax(240px, 360px)" }, ...columns];
}

const VIEWS = {
  rights: {
    name: "Rights by namespace",
    columns: rightColumns,
    rows: () =>
      Object.entries(state.rights).map(([namespace, cells]) => ({
        key: `ns ${namespace}`,
        namespace,
        cells,
        missing: Object.values(cells).filter((cell) => LOST.has(cell.state)).length,
        words: [namespace, ...Object.keys(cells)],
      })),
    order: (a, b) => (b.missing > 0) - (a.missing > 0) || a.namespace.localeCompare(b.namespace),
    cell(row, column) {
      if (!column.key) return { text: row.namespace || "(whole cluster)", className: row.missing ? "bad" : "" };
      const cell = row.cells[column.key];
      const [text, className, words] = SIGNS[cell?.state ?? "none"];
      const since = cell ? `, since ${time(cell.since)}` : "";
      return { text, className, label: `${column.key} ${place(row.namespace)}: ${words}${since}` };
    },
    detail(row, column) {
      if (!column.key) return [`${row.namespace || "The whole cluster"}: ${row.missing || "nothing"} missing of ${Object.keys(row.cells).length}`];
      const cell = row.cells[column.key];
      if (!cell) return [`${column.key} ${place(row.namespace)} is not in use.`];
      const named = cell.name ? ` (${cell.name})` : "";
      return [`${column.key}${named} ${place(row.namespace)}: ${SIGNS[cell.state][2]} since ${time(cell.since)}.`, cell.reason ?? ""];
    },
  },
  informers: {
    name: "Informers",
    columns: () => [
      { key: "kind", title: "Kind", width: "minmax(180px, 1fr)" },
      { key: "namespace", title: "Namespace", width: "minmax(120px, 1fr)" },
      { key: "state", title: "State", width: "100px" },
      { key: "objects", title: "Objects", width: "90px", kind: "number" },
      { key: "bytes", title: "Memory", width: "90px", kind: "number" },
      { key: "rate", title: "Events/s", width: "90px", kind: "number" },
      { key: "relists", title: "Relists", width: "80px", kind: "number" },
      { key: "silent", title: "Silent for", width: "100px", kind: "number" },
      { key: "error", title: "Trouble", width: "minmax(160px, 2fr)" },
    ],
    rows: () =>
      Object.entries(state.informers).map(([key, informer]) => ({
        key, ...informer, missing: informer.error || informer.state === "broken" ? 1 : 0,
        words: [informer.kind, informer.namespace, informer.state],
      })),
    order: (a, b) => b.missing - a.missing || a.key.localeCompare(b.key),
    cell(row, column) {
      const texts = {
        namespace: row.namespace || "(all)",
        bytes: bytes(row.bytes),
        silent: row.silent ? `${row.silent} s` : "",
        error: row.error ?? "",
      };
      const className = column.key === "state" ? (row.state === "synced" ? "good" : "doubt") : column.key === "error" && row.error ? "bad" : "";
      return { text: texts[column.key] ?? String(row[column.key]), className };
    },
    detail: (row) => [`${row.kind} ${row.namespace ? place(row.namespace) : "in all namespaces"}: ${row.state}, ${row.objects} objects, ${bytes(row.bytes)}, ${row.rate} events a second.`, row.error ?? ""],
  },
  owners: {
    name: "Owners",
    columns: () => [
      { key: "owner", title: "Owner", width: "minmax(260px, 2fr)" },
      { key: "namespace", title: "Namespace", width: "minmax(120px, 1fr)" },
      { key: "state", title: "State", width: "100px" },
      { key: "kinds", title: "Kinds", width: "minmax(140px, 1fr)" },
      { key: "missing", title: "Missing", width: "minmax(200px, 2fr)" },
    ],
    rows: () =>
      Object.entries(state.owners).map(([key, owner]) => ({
        ...owner, key, lacks: owner.missing, missing: owner.missing.length || owner.state === "waiting" ? 1 : 0,
        words: [owner.owner, owner.namespace, ...owner.kinds],
      })),
    order: (a, b) => b.missing - a.missing || a.owner.localeCompare(b.owner) || a.namespace.localeCompare(b.namespace),
    cell(row, column) {
      const texts = { kinds: row.kinds.join(", "), missing: row.lacks.join(", ") };
      const className = column.key === "state" ? (row.state === "open" ? "good" : row.state === "waiting" ? "bad" : "doubt") : "";
      return { text: texts[column.key] ?? row[column.key], className };
    },
    detail: (row) => [`${row.owner} ${place(row.namespace)}: ${row.state}; ${row.kinds.join(", ") || "no kinds"}.`, row.error ?? (row.lacks.length ? `Missing: ${row.lacks.join(", ")}` : "")],
  },
  changes: {
    name: "Last changes",
    columns: () => [
      { key: "at", title: "When", width: "180px" },
      { key: "right", title: "Right", width: "minmax(220px, 1fr)" },
      { key: "namespace", title: "Namespace", width: "minmax(140px, 1fr)" },
      { key: "before", title: "Was", width: "140px" },
      { key: "state", title: "Is", width: "140px" },
    ],
    rows: () =>
      (state.changes.last ?? []).map((change, number) => ({
        ...change, key: `${change.at} ${change.right} ${change.namespace} ${number}`, number,
        missing: LOST.has(change.state) ? 1 : 0, words: [change.right, change.namespace, change.state],
      })),
    order: (a, b) => a.number - b.number,
    cell(row, column) {
      if (column.key === "at") return { text: time(row.at) };
      if (column.key === "namespace") return { text: row.namespace || "(whole cluster)" };
      return { text: row[column.key], className: column.key === "state" ? SIGNS[row.state][1] : "" };
    },
    detail: (row) => [`${time(row.at)}: ${row.right} ${place(row.namespace)} was ${row.before}, is ${row.state}.`],
  },
};

const grid = new Grid(byId("grid"), (row, column) => {
  const lines = VIEWS[shown].detail(row, column).filter(Boolean);
  byId("detail").replaceChildren(...lines.map((line) => make("p", {}, line)));
});

function show() {
  const view = VIEWS[shown];
  const all = view.rows();
  const rows = all.filter((row) => (!onlyMissing || row.missing) && matches(...row.words)).sort(view.order);
  grid.show(view.name, view.columns(), rows, view.cell);
  byId("count").textContent = rows.length === all.length ? `${all.length} rows` : `${rows.length} of ${all.length} rows`;
  byId("legend").hidden = shown !== "rights";
  showSummary();
}

function showSummary() {
  const s = state.summary;
  const entries = [
    ["Namespaces", Object.keys(state.rights).filter(Boolean).length],
    ["Missing rights", s.missing],
    ["Caches", s.scopes],
    ["Informers", s.informers],
    ["Open watches", s.watches],
    ["Reviews sent", s.reviews],
    ["A change is noticed within", `${s.bound} s${s.attempting ? " (by trying: reviews are refused)" : ""}`],
  ];
  const items = entries.map(([term, value]) => {
    const item = make("div", {}, make("dt", {}, term), make("dd", {}, String(value ?? "")));
    if (term === "Missing rights" && value) item.className = "bad";
    return item;
  });
  byId("summary").replaceChildren(...items);
}

// -- what people do ----------------------------------------------------------------------------------------------

byId("filter").addEventListener("input", (event) => {
  filter = event.target.value.trim().toLowerCase();
  show();
});
byId("missing").addEventListener("change", (event) => {
  onlyMissing = event.target.checked;
  show();
});
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());

const tabs = [...document.querySelectorAll("[role=tab]")];
function choose(tab) {
  shown = tab.id.slice("tab-".length);
  for (const other of tabs) {
    other.setAttribute("aria-selected", String(other === tab));
    other.tabIndex = other === tab ? 0 : -1;
  }
  byId("panel").setAttribute("aria-labelledby", tab.id);
  grid.element.scrollTop = 0;
  show();
}
tabs.forEach((tab, index) => {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(index + step + tabs.length) % tabs.length];
    next.focus();
    choose(next);
  });
});
for (const name of ["allowed", "denied", "suspect", "unauthenticated", "absent", "unknown"]) {
  const [sign, className, words] = SIGNS[name];
  byId("legend").append(make("li", {}, make("span", { class: className, "aria-hidden": "true" }, sign), words));
}

// -- what the operator tells -------------------------------------------------------------------------------------

function say(name, words) {
  const connection = byId("connection");
  if (connection.dataset.state === name) return;
  connection.dataset.state = name;
  connection.textContent = words;
}

function listen() {
  const source = new EventSource("rights/events");
  source.addEventListener("full", (event) => {
    Object.assign(state, JSON.parse(event.data));
    say("live", "Live");
    show();
  });
  source.addEventListener("news", (event) => {
    for (const [section, rows] of Object.entries(JSON.parse(event.data))) {
      for (const [key, row] of Object.entries(rows)) {
        if (row === null) delete state[section][key];
        else state[section][key] = row;
      }
    }
    show();
  });
  source.addEventListener("error", () => {
    say("lost", "Connection lost; what is shown may be old. Trying again");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

show();
listen();

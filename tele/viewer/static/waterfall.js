// One trace: its spans as a tree beside bars on a time axis.

const KINDS = [
  ["model", "model call", /^(chat|text_completion|generate_content|completion)/],
  ["embed", "embedding", /^(embed|rerank)/],
  ["tool", "tool", /tool/],
  ["agent", "agent", /(agent|workflow|chain)/],
  ["search", "retrieval", /(retriev|search|database|query)/],
];

function kindOf(data, row) {
  if (data.has(row, "point")) return "point";
  const operation = textAt(data.spans.operation, row) || "";
  const found = KINDS.find(([, , pattern]) => pattern.test(operation));
  return found ? found[0] : data.has(row, "call") ? "model" : "other";
}

const KIND_NAMES = new Map([...KINDS.map(([kind, name]) => [kind, name]), ["point", "event"], ["other", "other"]]);
const SAID = {
  error: "error",
  open: "open",
  orphan: "parent missing",
  cycle: "in a loop",
  duplicate: "came more than once",
  conflict: "differs from its copy",
  no_start: "no start",
  no_duration: "no duration",
  negative: "ends before it starts",
  child_outlives_parent: "outlives its parent",
};
const ELSEWHERE = new Set(["error", "open", "no_duration", "child_outlives_parent"]); // marked otherwise, or in the details

// A round distance between ticks (1, 2 or 5 times a power of ten), so that at most four stand in the axis.
function roundStep(total) {
  const power = 10 ** Math.floor(Math.log10(total / 4));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= total / 4);
}

class Waterfall {
  // `chosen(row)` is told of the row that is looked at, `opened(row)` of Enter or a click.
  constructor(data, trace, chosen, opened) {
    Object.assign(this, { data, trace, closed: new Set(), text: "" });
    this.begin = data.first[trace];
    this.end = data.first[trace + 1];
    this.total = Math.max(this.extent(), 1);
    this.list = new VirtualList({
      label: "Spans of the trace",
      role: "tree",
      rowRole: "treeitem",
      height: 28,
      draw: (index, row) => this.draw(this.order[index], row),
      open: (index) => opened(this.order[index]),
      moved: (index) => chosen(this.order[index]),
    });
    this.list.element.addEventListener("click", (event) => this.clicked(event), { capture: true });
    this.element = el("div", { class: "waterfall table" }, this.axis(), this.list.element, this.legend());
    this.element.style.setProperty("--step", `${(roundStep(this.total) / this.total) * 100}%`);
    this.arrange();
  }

  extent() {
    let most = 0;
    const { start_us: start, duration_us: length } = this.data.spans;
    for (let row = this.begin; row < this.end; row += 1) {
      const end = start[row] + Math.max(0, length[row] || 0);
      if (end > most) most = end;
    }
    return most;
  }

  axis() {
    const step = roundStep(this.total);
    const ticks = [];
    for (let at = 0; at <= this.total * 0.93; at += step) {
      const tick = el("span", { class: "tick" }, at ? duration(at / 1000) : "0");
      tick.style.left = `${(at / this.total) * 100}%`;
      ticks.push(tick);
    }
    const cells = [el("span", { class: "name" }, "span"), el("span", { class: "track axis" }, ticks)];
    const numbers = ["duration", "tokens", "cost"].map((name) => el("span", { class: name }, name));
    return el("div", { class: "row head", "aria-hidden": "true" }, cells, numbers);
  }

  legend() {
    const kinds = new Set();
    for (let row = this.begin; row < this.end && kinds.size < KIND_NAMES.size; row += 1) kinds.add(kindOf(this.data, row));
    const shown = [...KIND_NAMES].filter(([kind]) => kinds.has(kind));
    return el("div", { class: "legend" }, shown.map(([kind, name]) => el("span", { class: `key ${kind}` }, name)));
  }

  filter(text) {
    this.text = text.trim().toLowerCase();
    this.arrange();
  }

  // The rows in sight, in order: what the filter keeps with everything above it, without what is folded.
  arrange(row = null) {
    const kept = this.text ? this.matches() : null;
    const { depth } = this.data.spans;
    this.order = [];
    let under = Infinity;
    for (let at = this.begin; at < this.end; at += 1) {
      if (depth[at] > under) continue;
      under = Infinity;
      if (kept && !kept.has(at)) continue;
      this.order.push(at);
      if (this.closed.has(at) && !kept) under = depth[at];
    }
    this.list.show(this.order.length, row === null ? -1 : this.order.indexOf(row));
  }

  matches() {
    const { spans } = this.data;
    const kept = new Set();
    for (let at = this.end - 1; at >= this.begin; at -= 1) {
      const words = [spans.name, spans.model, spans.operation, spans.error].map((column) => textAt(column, at) || "");
      if (!kept.has(at) && !words.join("\n").toLowerCase().includes(this.text)) continue;
      kept.add(at);
      if (spans.up[at]) kept.add(at - spans.up[at]);
    }
    return kept;
  }

  parent(row) {
    return this.data.spans.up[row] ? row - this.data.spans.up[row] : null;
  }

  hasChildren(row) {
    return row + 1 < this.end && this.data.spans.up[row + 1] === 1;
  }

  // Brings a row into sight, opening what it is folded into.
  choose(row) {
    for (let above = this.parent(row); above !== null; above = this.parent(above)) this.closed.delete(above);
    if (!this.order.includes(row)) this.text = "";
    this.arrange(row);
    this.list.activate(this.order.indexOf(row));
  }

  fold(row, closed) {
    if (closed) this.closed.add(row);
    else this.closed.delete(row);
    this.arrange(row);
  }

  key(key) {
    const row = this.order[this.list.active];
    if (row === undefined || (key !== "ArrowLeft" && key !== "ArrowRight")) return this.list.key(key);
    const open = this.hasChildren(row) && !this.closed.has(row);
    if (key === "ArrowLeft" && open) this.fold(row, true);
    else if (key === "ArrowLeft" && this.parent(row) !== null) this.choose(this.parent(row));
    else if (key === "ArrowRight" && this.closed.has(row)) this.fold(row, false);
    else if (key === "ArrowRight" && open) this.list.activate(this.list.active + 1);
    return true;
  }

  clicked(event) {
    if (!event.target.closest(".twist")) return;
    event.stopPropagation();
    const row = this.order[Number(event.target.closest(".row").dataset.index)];
    this.fold(row, !this.closed.has(row));
  }

  draw(row, node) {
    const { data } = this;
    const { spans } = data;
    const parent = this.hasChildren(row);
    node.setAttribute("aria-level", spans.depth[row] + 1);
    if (parent) node.setAttribute("aria-expanded", String(!this.closed.has(row)));
    const twist = el("span", { class: parent ? "twist" : "leaf" }, parent ? (this.closed.has(row) ? "▸" : "▾") : "");
    const name = el("span", { class: "name" }, twist, this.mark(row), bdi(textAt(spans.name, row) ?? "(no name)", { class: "what" }));
    // deep trees stay readable: the indent stops growing, the level is still told to screen readers
    name.style.paddingLeft = `${Math.min(spans.depth[row], 24) * 14}px`;
    const flags = data.flagsOf(row).filter((flag) => SAID[flag] && !ELSEWHERE.has(flag));
    name.append(...flags.map((flag) => chip(SAID[flag], "warn")));
    const length = data.has(row, "open") ? "open" : duration(spans.duration_us[row] / 1000);
    node.append(
      name,
      el("span", { class: "track" }, this.bar(row)),
      el("span", { class: "duration" }, data.has(row, "point") ? "" : length),
      el("span", { class: "tokens" }, known(spans.tokens[row]) ? count(spans.tokens[row]) : ""),
      el("span", { class: "cost" }, known(spans.cost_usd[row]) ? usd(spans.cost_usd[row]) : ""),
    );
  }

  bar(row) {
    const { start_us: starts, duration_us: lengths } = this.data.spans;
    const start = starts[row];
    if (Number.isNaN(start)) return null;
    const open = this.data.has(row, "open");
    const length = open ? this.total - start : Math.max(0, lengths[row] || 0);
    const states = `${open ? " open" : ""}${this.data.has(row, "error") ? " error" : ""}`;
    const bar = el("span", { class: `bar ${kindOf(this.data, row)}${states}` });
    bar.style.left = `${(start / this.total) * 100}%`;
    bar.style.width = `${(length / this.total) * 100}%`;
    return bar;
  }

  mark(row) {
    if (this.data.has(row, "error")) {
      const error = textAt(this.data.spans.error, row);
      return flagMark("error", "✕", error ? `failed: ${error}` : "failed");
    }
    if (this.data.has(row, "open")) return flagMark("open", "◌", "still open");
    if (this.data.has(row, "error_below")) return flagMark("below", "✕", "an error further down");
    return el("span", { class: `dot ${kindOf(this.data, row)}`, title: KIND_NAMES.get(kindOf(this.data, row)) });
  }
}

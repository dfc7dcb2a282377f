// The list of traces: sorted, filtered, errors marked also where they are further down.

const SORTS = {
  start: { label: "start", first: 1, value: (data, trace) => data.traces.start_ms[trace] },
  name: { label: "trace", first: 1, value: (data, trace) => textAt(data.spans.name, data.first[trace]) || "" },
  duration: { label: "duration", first: -1, value: (data, trace) => data.traces.duration_us[trace] },
  spans: { label: "spans", first: -1, value: (data, trace) => data.traces.spans[trace] },
  tokens: { label: "tokens", first: -1, value: (data, trace) => tokensOf(data, trace) },
  cost: { label: "cost", first: -1, value: (data, trace) => data.traces.cost_usd[trace] },
};

const tokensOf = (data, trace) => data.traces.input_tokens[trace] + data.traces.output_tokens[trace];

class TraceList {
  constructor(data, open) {
    Object.assign(this, { data, sorted: "start", way: 1, text: "", only: new Set() });
    this.longest = data.traces.duration_us.reduce((most, each) => (each > most ? each : most), 0);
    const starts = data.traces.start_ms.filter(known);
    const apart = starts.length ? starts[starts.length - 1] - starts[0] : 0; // they come in the order of their start
    this.shape = apart > 20 * 3600e3 ? "days" : "time";
    this.list = new VirtualList({
      label: "Traces",
      role: "listbox",
      rowRole: "option",
      height: 34,
      draw: (index, row) => this.draw(this.order[index], row),
      open: (index) => open(this.order[index]),
    });
    this.head = el("div", { class: "row head", role: "group", "aria-label": "Sort by" });
    this.element = el("div", { class: "traces table" }, this.head, this.list.element);
    this.arrange();
  }

  chips() {
    const any = (column) => column.some((number) => number > 0);
    return [
      any(this.data.traces.errors) && ["errors", "errors only"],
      any(this.data.traces.open) && ["open", "open only"],
    ].filter(Boolean);
  }

  toggle(name) {
    if (!this.only.delete(name)) this.only.add(name);
    this.arrange();
  }

  filter(text) {
    this.text = text.trim().toLowerCase();
    this.arrange();
  }

  arrange() {
    const { data } = this;
    const value = SORTS[this.sorted].value;
    const kept = [];
    for (let trace = 0; trace < data.traces.id.length; trace += 1) if (this.keeps(trace)) kept.push(trace);
    const keys = kept.map((trace) => value(data, trace));
    const places = kept.map((_, place) => place).sort((a, b) => compared(keys[a], keys[b], this.way) || a - b);
    this.order = places.map((place) => kept[place]);
    this.drawHead();
    this.list.show(this.order.length, this.order.length ? 0 : -1);
    this.list.top = 0;
    this.list.paint();
  }

  keeps(trace) {
    if (this.only.has("errors") && !this.data.traces.errors[trace]) return false;
    if (this.only.has("open") && !this.data.traces.open[trace]) return false;
    return !this.text || this.words(trace).includes(this.text);
  }

  // Everything of a trace that the filter reads, once: its own words and the names, models and errors of its spans.
  words(trace) {
    this.read ||= new Map();
    if (this.read.has(trace)) return this.read.get(trace);
    const { spans, traces, first } = this.data;
    const found = new Set([traces.id[trace], textAt(traces.run, trace)]);
    for (const column of [traces.condition, traces.item]) found.add(textAt(column, trace));
    for (let row = first[trace]; row < first[trace + 1]; row += 1) {
      for (const column of [spans.name, spans.model, spans.operation, spans.error]) found.add(textAt(column, row));
    }
    found.delete(null);
    const text = [...found].join("\n").toLowerCase();
    this.read.set(trace, text);
    return text;
  }

  drawHead() {
    const cells = Object.entries(SORTS).map(([key, sort]) => {
      const on = key === this.sorted;
      const arrow = on ? (this.way > 0 ? " ↑" : " ↓") : "";
      const state = on ? (this.way > 0 ? ", ascending" : ", descending") : "";
      const title = `Sort by ${sort.label}`;
      const pressed = { "aria-pressed": String(on), "aria-label": title + state, class: on ? "on" : "" };
      return el("span", { class: key }, el("button", { ...pressed, title, click: () => this.sort(key) }, sort.label + arrow));
    });
    this.head.replaceChildren(el("span", { class: "mark" }), ...cells);
  }

  sort(key) {
    this.way = this.sorted === key ? -this.way : SORTS[key].first;
    this.sorted = key;
    this.arrange();
  }

  draw(trace, row) {
    const { data } = this;
    const { traces, spans } = data;
    const root = data.first[trace];
    const labels = [textAt(traces.condition, trace), textAt(traces.item, trace)].filter((text) => text !== null);
    const replicate = textAt(traces.replicate, trace);
    row.append(
      this.mark(trace, root),
      el("span", { class: "start dim", title: clock(traces.start_ms[trace], "whole") }, clock(traces.start_ms[trace], this.shape)),
      el(
        "span",
        { class: "name" },
        bdi(textAt(spans.name, root) ?? "(no name)", { class: "what" }),
        labels.map((text) => chip(text)),
        replicate === null ? null : chip(`#${replicate}`, "", "replicate"),
      ),
      el(
        "span",
        { class: "duration" },
        meter(traces.duration_us[trace] / (this.longest || 1), "time"),
        el("b", {}, duration(traces.duration_us[trace] / 1000)),
      ),
      el("span", { class: "spans" }, count(traces.spans[trace])),
      el("span", { class: "tokens" }, tokensOf(data, trace) ? count(tokensOf(data, trace)) : "-"),
      el("span", { class: "cost" }, usd(traces.cost_usd[trace])),
    );
  }

  mark(trace, root) {
    const errors = this.data.traces.errors[trace];
    if (errors && this.data.has(root, "error")) return flagMark("error", "✕", `failed, ${plural(errors, "error")}`);
    if (errors) return flagMark("below", "✕", `${plural(errors, "error")} further down`);
    if (this.data.traces.open[trace]) return flagMark("open", "◌", "still open");
    return el("span", { class: "mark" });
  }
}

function flagMark(name, sign, title) {
  return el("span", { class: `mark ${name}`, title, role: "img", "aria-label": title }, sign);
}

// NaN, which stands for NULL, comes last whichever way the list is sorted.
function compared(a, b, way) {
  if (typeof a === "string") return way * a.localeCompare(b);
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return way * (a - b);
}

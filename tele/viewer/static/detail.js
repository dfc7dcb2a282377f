// The details of one chosen row: what it is, what was said, what is attached to it.

const HEADLINE = new Set(["model", "provider", "operation", "input_tokens", "output_tokens", "cost_usd", "ttft_ms"]);
const CALLED = new Map(Object.entries({ cost_usd: "cost", ttft_ms: "first token" }));
const LATER = new Set(["kind", "experiment", "run_id", "trace_id", "span_id", "parent_id", "event_id", "start_ns", "end_ns"]);

class Detail {
  constructor(data) {
    Object.assign(this, { data, raw: false, row: -1 });
    this.element = el("aside", { class: "detail", "aria-label": "Details of the chosen span", tabindex: "0" });
    this.element.append(empty("Choose a span to read it.", "Click one, or move with j and k."));
  }

  toggleRaw() {
    this.raw = !this.raw;
    if (this.row >= 0) this.draw();
  }

  async show(row) {
    this.row = row;
    const body = await this.data.body(row);
    if (this.row !== row) return; // another row was chosen while this one was inflated
    this.body = body;
    this.draw();
    this.element.scrollTop = 0;
  }

  draw() {
    const { row, body } = this;
    this.element.replaceChildren(this.head(row));
    if (!body) {
      this.element.append(el("p", { class: "notice" }, "The details of this row were left out of the page to keep it small enough."));
      return;
    }
    const facts = new Map(body.facts);
    if (facts.has("error_type") || facts.has("error_message")) this.element.append(this.error(facts));
    const headline = body.facts.filter(([key]) => HEADLINE.has(key));
    if (headline.length) this.element.append(this.facts(headline, "facts"));
    for (const side of ["input", "output"]) if (side in body) this.element.append(this.said(side, body));
    if (body.events) this.element.append(this.events(body.events, row));
    const rest = body.facts.filter(([key]) => !HEADLINE.has(key) && !LATER.has(key) && !key.startsWith("error_"));
    if (rest.length || body.tags) this.element.append(this.columns(rest, body.tags));
    for (const key of ["attributes", "resource", "links"]) if (key in body) this.element.append(this.json(key, body));
    const ids = body.facts.filter(([key]) => LATER.has(key));
    this.element.append(this.section("identity", this.facts(ids, "pairs")));
  }

  head(row) {
    const { data } = this;
    const { spans } = data;
    const flags = data.flagsOf(row).filter((flag) => SAID[flag]);
    const kind = kindOf(data, row);
    const start = data.traces.start_ms[this.trace(row)] + spans.start_us[row] / 1000;
    return el(
      "header",
      {},
      el("p", { class: "kind" }, el("span", { class: `key ${kind}` }, KIND_NAMES.get(kind))),
      el("h3", {}, bdi(textAt(spans.name, row) ?? "(no name)")),
      el("p", { class: "dim" }, data.has(row, "point") ? "" : `${duration(spans.duration_us[row] / 1000)} · `, clock(start, "whole")),
      flags.length ? el("p", {}, flags.map((flag) => chip(SAID[flag], flag === "error" ? "bad" : "warn"))) : null,
    );
  }

  trace(row) {
    let low = 0;
    let high = this.data.first.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.data.first[middle] <= row) low = middle;
      else high = middle;
    }
    return low;
  }

  error(facts) {
    const type = facts.has("error_type") ? el("b", {}, bdi(facts.get("error_type"))) : null;
    const text = facts.has("error_message") ? el("pre", { class: "text", dir: "auto" }, facts.get("error_message")) : null;
    return el("div", { class: "failure", role: "note", "aria-label": "Error" }, type, text);
  }

  facts(facts, name) {
    const shown = new Map(Object.entries({ cost_usd: usd, ttft_ms: duration, input_tokens: count, output_tokens: count }));
    const text = (key, value) => (name === "facts" ? shown.get(key)?.(value) ?? value : value);
    const title = (key) => (name === "facts" ? CALLED.get(key) ?? key.replaceAll("_", " ") : key);
    const pairs = facts.map(([key, value]) => el("div", {}, el("dt", {}, title(key)), el("dd", {}, bdi(String(text(key, value)))))); // `false` is a value, and as a child it would be none
    return el("dl", { class: name }, pairs);
  }

  section(title, ...content) {
    return el("section", {}, el("h4", {}, title), content);
  }

  note(key, notes) {
    return notes && Object.hasOwn(notes, key) ? el("p", { class: "notice" }, notes[key]) : null;
  }

  said(side, body) {
    const messages = this.raw ? null : messagesOf(body[side], side);
    const content = messages ? drawMessages(messages) : el("pre", { class: "text raw", dir: "auto" }, indented(body[side]));
    const button = el("button", { class: "small", "aria-pressed": String(this.raw), click: () => this.toggleRaw() }, "raw");
    return el("section", {}, el("h4", {}, side, button), this.note(side, body.notes), content);
  }

  columns(facts, tags) {
    const chips = tags ? el("p", {}, tags.map((tag) => chip(tag))) : null;
    return this.section("columns", this.facts(facts, "pairs"), chips);
  }

  json(key, body) {
    const note = this.note(key, body.notes);
    let value = null;
    try {
      value = JSON.parse(body[key]);
    } catch {
      // a text that was cut is shown as it is
    }
    const flat = !this.raw && value !== null && typeof value === "object" && !Array.isArray(value);
    const content = flat
      ? this.facts(Object.entries(value).map(([name, each]) => [name, textOf(each)]), "pairs keep")
      : el("pre", { class: "text raw", dir: "auto" }, indented(body[key]));
    if (key === "attributes") return this.section(key, note, content);
    return el("details", {}, el("summary", {}, key), note, content);
  }

  events(events, row) {
    const origin = this.data.traces.start_ms[this.trace(row)];
    const items = events.map((event) => {
      const after = "start_ns" in event ? Number(event.start_ns) / 1e6 - origin : NaN;
      const measured = "value" in event ? ` ${event.value}${event.unit ? ` ${event.unit}` : ""}` : "";
      const texts = ["error_type", "error_message", "attributes", "input", "output"].filter((key) => key in event);
      return el(
        "li",
        {},
        el("div", { class: "line" }, bdi(event.name), el("b", {}, measured), el("span", { class: "dim" }, `+${duration(after)}`)),
        texts.map((key) => el("pre", { class: "text raw", dir: "auto" }, indented(String(event[key])))),
      );
    });
    return this.section("events", el("ol", { class: "events" }, items));
  }
}

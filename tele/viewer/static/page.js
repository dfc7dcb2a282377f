// The page: which view is shown, what the keys do, and the state in the address.

const REMEDY = "Record some with tele.span(…) inside a tele.experiment(…), or bring a file in with `tele ingest`.";

class Page {
  constructor(data) {
    this.data = data;
    this.main = document.getElementById("main");
    this.sieve = new Sieve(data.chains, () => this.sifted());
    this.lists = {
      traces: new TraceList(data, (trace) => this.goTrace(trace)),
      chains: new ChainList(data, this.sieve, (chain) => this.go({ chain: chain.key })),
      ensembles: new EnsembleList(data, (each) => this.goSpan(each)),
    };
    this.search = el("input", { type: "search", placeholder: "filter  /", "aria-label": "Filter", autocomplete: "off", spellcheck: "false" });
    this.search.addEventListener("input", () => this.filtered());
    window.addEventListener("hashchange", () => this.route());
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  // ── the address ──────────────────────────────────────────────────────────────────────────────────────────────

  state() {
    return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  }

  go(state) {
    this.looked = -1; // what is being noted of the span left must not stand over this
    location.hash = new URLSearchParams(state).toString();
  }

  goTrace(trace) {
    this.go({ trace: this.data.traces.id[trace] ?? "" });
  }

  goSpan(entry) {
    const state = { trace: entry.trace_id ?? "" };
    if (this.data.traceOf(state.trace) < 0) return;
    this.go(entry.span_id === null ? state : { ...state, span: entry.span_id });
  }

  // Tells the address which span is looked at, without a step in the history for each.
  async note(row) {
    const id = await this.data.spanId(row);
    if (this.looked !== row || !this.waterfall) return;
    const state = { trace: this.data.traces.id[this.waterfall.trace] ?? "" };
    if (id !== null) state.span = id;
    history.replaceState(null, "", `#${new URLSearchParams(state)}`);
  }

  async route() {
    const state = this.state();
    this.waterfall = null;
    this.chain = null;
    this.detail = null;
    document.body.dataset.view = "list";
    const only = this.data.kind === "trace" && this.data.traces.id.length === 1 ? this.data.traces.id[0] : null;
    const wanted = state.trace ?? (state.chain === undefined && state.tab === undefined ? only : null);
    const trace = wanted === null || wanted === undefined ? -1 : this.data.traceOf(wanted);
    const chain = this.wantedChain(state);
    if (trace >= 0) await this.showTrace(trace, state.span);
    else if (chain) this.showChain(chain);
    else this.showList(state.tab ?? (this.data.kind === "chain" ? "chains" : undefined), state.trace !== undefined || state.chain !== undefined);
  }

  wantedChain(state) {
    const only = this.data.kind === "chain" && this.data.chains.length === 1 && state.tab === undefined;
    const key = state.chain ?? (only ? this.data.name : undefined);
    return key === undefined ? undefined : this.data.chains.find((chain) => chain.key === key);
  }

  // ── the views ────────────────────────────────────────────────────────────────────────────────────────────────

  showList(tab, missed) {
    const counts = { traces: this.data.traces.id.length, chains: this.data.chains.length, ensembles: this.data.ensembles.length };
    const first = Object.keys(counts).find((name) => counts[name]) ?? "traces";
    this.tab = Object.hasOwn(counts, tab ?? "") ? tab : first;
    const list = this.lists[this.tab];
    const names = { traces: "Traces", chains: "Reasoning", ensembles: "Ensembles" };
    const tabs = Object.keys(counts)
      .filter((name) => counts[name] || name === this.tab)
      .map((name) => this.tabOf(name, names[name], counts[name]));
    const chips = list.chips().map(([name, label]) => this.chipOf(list, name, label));
    this.shown = el("span", { class: "dim shown", role: "status" });
    const bar = el("div", { class: "bar-top" }, el("div", { class: "tabs", role: "tablist" }, tabs), chips, list.tools, this.shown, this.search);
    const gone = missed ? el("p", { class: "notice" }, "What the address names is not on this page.") : null;
    const body = counts[this.tab] ? list.element : empty("There are no spans here yet.", REMEDY);
    this.main.replaceChildren(bar, ...(gone ? [gone] : []), body);
    this.search.value = list.asked ?? "";
    this.tell();
    // who comes back from a trace stands where they left
    list.list.refresh();
    if (list.list.active > 0) list.list.activate(list.list.active);
    if (list.element.isConnected) list.list.element.focus({ preventScroll: true });
  }

  tabOf(name, label, number) {
    const on = name === this.tab;
    const number_ = el("span", { class: "dim" }, ` ${count(number)}`);
    return el("button", { role: "tab", "aria-selected": String(on), click: () => this.go({ tab: name }) }, label, number_);
  }

  chipOf(list, name, label) {
    const button = el("button", { class: "small", "aria-pressed": String(list.only.has(name)) }, label);
    button.addEventListener("click", () => {
      list.toggle(name);
      button.setAttribute("aria-pressed", String(list.only.has(name)));
      this.tell();
    });
    return button;
  }

  tell() {
    const list = this.lists[this.tab];
    const all = this.tab === "traces" ? this.data.traces.id.length : this.data[this.tab].length;
    this.shown.textContent = list.order.length === all ? "" : `${count(list.order.length)} of ${count(all)}`;
  }

  async showTrace(trace, span) {
    document.body.dataset.view = "trace";
    const { data } = this;
    this.detail = new Detail(data);
    this.waterfall = new Waterfall(data, trace, (row) => this.look(row), () => this.detail.element.focus());
    const name = textAt(data.spans.name, data.first[trace]) ?? "(no name)";
    const { traces } = data;
    const facts = [duration(traces.duration_us[trace] / 1000), plural(traces.spans[trace], "span")];
    if (traces.errors[trace]) facts.push(plural(traces.errors[trace], "error"));
    if (tokensOf(data, trace)) facts.push(`${count(tokensOf(data, trace))} tokens`);
    if (known(traces.cost_usd[trace])) facts.push(usd(traces.cost_usd[trace]));
    this.main.replaceChildren(
      el("div", { class: "bar-top" }, this.backButton(), el("h2", {}, bdi(name)), el("span", { class: "dim" }, facts.join(" · ")), this.chainsHere(trace), this.search),
      el("div", { class: "split" }, this.waterfall.element, this.detail.element),
    );
    this.search.value = "";
    this.waterfall.list.element.focus({ preventScroll: true });
    this.waterfall.list.paint();
    const row = span === undefined ? -1 : await data.rowOf(trace, span);
    if (this.waterfall?.trace !== trace) return;
    this.waterfall.choose(row >= 0 ? row : data.first[trace]);
  }

  chainsHere(trace) {
    const id = this.data.traces.id[trace];
    const here = id === null ? [] : this.data.chains.filter((chain) => chain.trace_id === id).slice(0, 3);
    return here.map((chain) => el("button", { class: "small", click: () => this.go({ chain: chain.key }) }, "reasoning: ", bdi(chainName(chain))));
  }

  look(row) {
    this.looked = row;
    this.detail.show(row);
    this.note(row);
  }

  showChain(chain) {
    document.body.dataset.view = "chain";
    this.chain = new ChainView(this.data, chain, this.sieve, (each) => this.goSpan(each));
    this.shown = el("span", { class: "dim shown", role: "status" }, this.chain.shown);
    this.main.replaceChildren(el("div", { class: "bar-top" }, this.backButton(), this.sieve.element, this.shown), this.chain.element);
    this.chain.go(0);
  }

  backButton() {
    if (this.data.traces.id.length + this.data.chains.length + this.data.ensembles.length < 2) return null;
    return el("button", { class: "back", click: () => this.back() }, "← ", this.chain ? "all chains" : "all traces");
  }

  back() {
    if (this.chain) this.go({ tab: "chains" });
    else this.go({ tab: "traces" });
  }

  // ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────

  filtered() {
    if (this.waterfall) this.waterfall.filter(this.search.value);
    else {
      this.lists[this.tab].asked = this.search.value;
      this.lists[this.tab].filter(this.search.value);
      this.tell();
    }
  }

  sifted() {
    if (!this.chain) return this.filtered();
    this.chain.sift();
    this.shown.textContent = this.chain.shown;
    this.lists.chains.filter(this.lists.chains.asked ?? "");
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target === this.search;
    if (typing ? this.typed(event.key) : this.command(event.key, event.target)) event.preventDefault();
  }

  typed(key) {
    if (key !== "Enter" && key !== "Escape" && key !== "ArrowDown") return false;
    if (key === "Escape") {
      this.search.value = "";
      this.filtered();
    }
    this.main.querySelector(".list")?.focus();
    return true;
  }

  command(key, target) {
    if (key === "/" && this.search.isConnected) this.search.focus();
    else if (key === "Escape") this.escape(target);
    else if (key === "r" && this.detail) this.detail.toggleRaw();
    else if (target.closest("button, a, summary, .scroll, .sieve") && key !== "j" && key !== "k") return false;
    else if (target.closest(".detail") && key !== "j" && key !== "k") return false;
    else return (this.waterfall ?? this.chain ?? this.lists[this.tab]?.list)?.key(key) ?? false;
    return true;
  }

  escape(target) {
    if (this.waterfall && target.closest(".detail")) this.waterfall.list.element.focus();
    else if (this.waterfall || this.chain) this.back();
    else if (this.search.value) this.typed("Escape");
  }
}

async function start() {
  const main = document.getElementById("main");
  if (!("DecompressionStream" in window)) {
    main.append(empty("This browser cannot unpack the page's data.", "Open it with Chrome 80, Firefox 113, Safari 16.4 or newer."));
    return;
  }
  try {
    await new Page(await Data.load()).route();
    document.body.dataset.ready = "yes";
  } catch (error) {
    main.replaceChildren(empty("The page's data cannot be read; the file may be cut short.", `Make it again with \`tele view\`. (${error.message})`));
  }
}

start();

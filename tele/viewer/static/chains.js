// Causal reasoning: the list of chains, and one chain as a timeline with its confidence.

const TYPES = {
  hypothesis_formed: "hypothesis",
  alternative_rejected: "rejected",
  constraint_evaluated: "constraint",
  pattern_applied: "pattern",
  ambiguity_flagged: "ambiguity",
  confidence_updated: "confidence",
};

const certain = (step) => (typeof step.confidence === "number" ? step.confidence : NaN);
const chainId = (chain) => (chain.id === null ? "" : String(chain.id));
const chainName = (chain) => chain.name ?? (chain.id === null ? "(no chain id)" : `chain ${String(chain.id).slice(0, 12)}`);
// Equal texts of two replicates are two chains: these tell them apart.
const placeOf = (chain) => [chain.condition, chain.item_id, chain.replicate === null ? null : `replicate ${chain.replicate}`].filter((text) => text !== null);

class ChainList {
  constructor(data, sieve, open) {
    Object.assign(this, { data, sieve, text: "" });
    this.list = new VirtualList({
      label: "Reasoning chains",
      role: "listbox",
      rowRole: "option",
      height: 34,
      draw: (index, row) => this.draw(this.order[index], row),
      open: (index) => open(this.order[index]),
    });
    const names = ["chain", "steps", "low", "confidence"].map((name) => el("span", { class: name }, name));
    this.element = el("div", { class: "chains table" }, el("div", { class: "row head", "aria-hidden": "true" }, names), this.list.element);
    this.filter("");
  }

  chips() {
    return [];
  }

  get tools() {
    return this.sieve.element;
  }

  filter(text) {
    const wanted = text.trim().toLowerCase();
    const { sieve } = this;
    this.order = this.data.chains.filter(
      (chain) => (sieve.open || chain.steps.some((step) => sieve.passes(step))) && JSON.stringify(chain).toLowerCase().includes(wanted),
    );
    this.list.show(this.order.length, this.order.length ? 0 : -1);
  }

  draw(chain, row) {
    const sure = chain.steps.map(certain).filter(known);
    const mean = sure.length ? sure.reduce((sum, each) => sum + each, 0) / sure.length : NaN;
    const low = sure.filter((each) => each < this.data.lowConfidence).length;
    row.append(
      el("span", { class: "chain" }, bdi(chainName(chain), { class: "what" }), placeOf(chain).map((text) => chip(text))),
      el("span", { class: "steps" }, count(chain.steps.length)),
      el("span", { class: "low" }, low ? chip(`${low} low`, "warn") : ""),
      el("span", { class: "confidence" }, meter(mean, mean < this.data.lowConfidence ? "sure weak" : "sure"), el("b", {}, confidence(mean))),
    );
  }
}

class ChainView {
  constructor(data, chain, sieve, openTrace) {
    Object.assign(this, { data, chain, sieve });
    this.step = -1;
    this.cards = chain.steps.map((step, at) => this.card(step, at));
    const link = chain.trace_id !== null && data.traceOf(chain.trace_id) >= 0;
    this.element = el(
      "div",
      { class: "chain-view" },
      el(
        "header",
        {},
        el("h2", {}, bdi(chainName(chain))),
        el("p", { class: "dim" }, plural(chain.steps.length, "step"), chain.version !== null ? ` · version ${chain.version}` : "", " · ", bdi(chainId(chain), { class: "mono" })),
        el("p", { class: "statistics" }, statistics(chain.steps)),
        link ? el("button", { class: "small", click: () => openTrace(chain) }, "open its trace") : null,
      ),
      chain.steps.some((step) => known(certain(step))) ? this.curve() : null,
      el("ol", { class: "timeline" }, this.cards),
    );
    this.sift();
  }

  // Shows the steps that pass, and says how many do.
  sift() {
    const { steps } = this.chain;
    const passing = steps.map((step) => this.sieve.passes(step));
    this.cards.forEach((card, at) => card.toggleAttribute("hidden", !passing[at]));
    const number = passing.filter(Boolean).length;
    this.shown = number === steps.length ? "" : `${count(number)} of ${plural(steps.length, "step")}`;
  }

  get low() {
    return this.data.lowConfidence;
  }

  // Confidence over the steps, 0 to 1 from bottom to top, with the line below which a step is marked.
  curve() {
    const { steps } = this.chain;
    const [width, height] = [1000, 120];
    const x = (at) => (steps.length === 1 ? width / 2 : 20 + (at / (steps.length - 1)) * (width - 40));
    const y = (value) => 10 + (1 - value) * (height - 20);
    const points = steps.map((step, at) => [at, certain(step)]).filter(([, value]) => known(value));
    const path = points.map(([at, value]) => `${x(at)},${y(value)}`).join(" ");
    const dots = points.map(([at, value]) =>
      svg("circle", { class: value < this.low ? "point weak" : "point", cx: x(at), cy: y(value), r: points.length > 60 ? 3 : 6, click: () => this.go(at) }),
    );
    return el(
      "figure",
      { class: "curve" },
      svg(
        "svg",
        { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Confidence over ${plural(steps.length, "step")}` },
        [0, 0.5, 1].map((value) => svg("line", { class: "rail", x1: 0, x2: width, y1: y(value), y2: y(value) })),
        svg("line", { class: "limit", x1: 0, x2: width, y1: y(this.low), y2: y(this.low) }),
        svg("polyline", { class: "path", points: path }),
        dots,
      ),
      el("figcaption", { class: "dim" }, `Confidence by step, 0 to 1; the dashed line is ${this.low}: steps below it are marked.`),
    );
  }

  card(step, at) {
    const sure = certain(step);
    const weak = sure < this.low;
    const kind = Object.hasOwn(TYPES, step.type ?? "") ? TYPES[step.type] : "other";
    return el(
      "li",
      { class: `step ${kind}${weak ? " weak" : ""}`, tabindex: "-1" },
      el(
        "div",
        { class: "line" },
        el("span", { class: "position" }, `${step.position ?? at + 1}`),
        el("span", { class: "type" }, bdi((step.type ?? "(no type)").replaceAll("_", " "))),
        "stage" in step ? chip(step.stage, "", "stage") : null,
        weak ? chip("low confidence", "warn") : null,
        el("span", { class: "sure-line" }, meter(sure || 0, weak ? "sure weak" : "sure"), el("b", {}, confidence(sure))),
      ),
      el("h3", { dir: "auto" }, step.decision ?? "(no decision)"),
      "reasoning" in step ? el("p", { class: "prose", dir: "auto" }, step.reasoning) : null,
      this.alternatives(step.alternatives),
      this.references(step),
    );
  }

  alternatives(given) {
    const list = namesIn(given);
    if (!list.length) return null;
    return el("p", { class: "considered" }, el("span", { class: "dim" }, "considered "), list.map((each) => chip(each)));
  }

  references(step) {
    const keys = ["code_section", "spec_reference", "depends_on", "parent"].filter((key) => key in step);
    const pairs = keys
      .map((key) => [key, namesIn(step[key]).join(", ")])
      .filter(([, text]) => text)
      .map(([key, text]) => el("div", {}, el("dt", {}, key.replaceAll("_", " ")), el("dd", { class: "mono" }, bdi(text))));
    return pairs.length ? el("dl", { class: "pairs" }, pairs) : null;
  }

  // Goes to the step `at`, or past those that are hidden to the next one that way.
  go(at, way = 1) {
    const last = this.cards.length - 1;
    let next = Math.max(0, Math.min(last, at));
    while (this.cards[next]?.hidden) next += way;
    if (!this.cards[next]) return;
    this.cards[this.step]?.classList.remove("active");
    this.step = next;
    this.cards[this.step].classList.add("active");
    this.cards[this.step].scrollIntoView({ block: "nearest" });
    this.cards[this.step].focus({ preventScroll: true });
  }

  key(key) {
    const steps = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };
    if (key in steps) this.go(this.step + steps[key], steps[key]);
    else return false;
    return true;
  }
}

// A list that came as a list, as JSON text or as plain text, as texts.
function namesIn(given) {
  let value = given;
  if (typeof value === "string" && /^\s*\[/.test(value)) {
    try {
      value = JSON.parse(value);
    } catch {
      // plain text that begins with a bracket stays one text
    }
  }
  if (value === null || value === undefined || value === "") return [];
  return (Array.isArray(value) ? value : [value]).map(textOf);
}

// Which steps of the reasoning are looked at: of one type, and at least so sure. One sieve serves the list and the chains.

class Sieve {
  constructor(chains, changed) {
    Object.assign(this, { changed, type: null, least: 0 });
    const types = [...new Set(chains.flatMap((chain) => chain.steps.map((step) => step.type)))].filter(known).sort();
    const options = types.map((type) => el("option", { value: type }, String(type).replaceAll("_", " ")));
    // by place: the value of an option is shown text, in which control characters are made visible
    const chosen = () => this.set(types[this.choice.selectedIndex - 1] ?? null, this.least);
    this.choice = el("select", { "aria-label": "Type of step", change: chosen }, el("option", { value: "" }, "every type"), options);
    this.range = el("input", { type: "range", min: "0", max: "1", step: "0.05", value: "0", "aria-label": "Least confidence", input: () => this.set(this.type, Number(this.range.value)) });
    this.said = el("output", {}, confidence(0));
    this.element = el("span", { class: "sieve" }, this.choice, el("label", {}, "confidence ≥ ", this.range), this.said);
  }

  set(type, least) {
    Object.assign(this, { type, least });
    this.said.textContent = confidence(least);
    this.changed();
  }

  get open() {
    return this.type === null && this.least === 0;
  }

  // A step that states no confidence passes until one is asked for.
  passes(step) {
    return (this.type === null || step.type === this.type) && (this.least === 0 || certain(step) >= this.least);
  }
}

// Of the steps, how many of each type and how sure they are: high from 0.8, medium from 0.5.
function statistics(steps) {
  const sure = steps.map(certain).filter(known);
  const types = new Map();
  for (const step of steps) types.set(step.type ?? "(no type)", (types.get(step.type ?? "(no type)") ?? 0) + 1);
  const levels = { high: 0, medium: 0, low: 0 };
  for (const value of sure) levels[value >= 0.8 ? "high" : value >= 0.5 ? "medium" : "low"] += 1;
  const mean = sure.reduce((sum, value) => sum + value, 0) / sure.length;
  const byType = [...types].sort(([, a], [, b]) => b - a).map(([type, number]) => chip(`${number} ${String(type).replaceAll("_", " ")}`));
  if (!sure.length) return byType;
  const byLevel = Object.entries(levels).filter(([, number]) => number);
  return [...byType, el("span", { class: "dim" }, ` confidence ${confidence(mean)} on average: ${byLevel.map(([level, number]) => `${number} ${level}`).join(", ")}`)];
}

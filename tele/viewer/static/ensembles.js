// Ensembles: what each member answered, what won, and how much they agreed.

class EnsembleList {
  constructor(data, open) {
    Object.assign(this, { data });
    this.list = new VirtualList({
      label: "Ensembles",
      role: "listbox",
      rowRole: "option",
      height: 40,
      draw: (index, row) => this.draw(this.order[index], row),
      open: (index) => open(this.order[index]),
    });
    const names = ["item", "votes", "winner", "strategy", "agreement"].map((name) => el("span", { class: name }, name));
    const head = el("div", { class: "row head", "aria-hidden": "true" }, names);
    this.element = el("div", { class: "ensembles table" }, head, this.list.element);
    this.filter("");
  }

  chips() {
    return [];
  }

  filter(text) {
    const wanted = text.trim().toLowerCase();
    this.order = this.data.ensembles.filter((each) => JSON.stringify(each).toLowerCase().includes(wanted));
    this.list.show(this.order.length, this.order.length ? 0 : -1);
  }

  draw(ensemble, row) {
    const winner = ensemble.winner ?? null;
    const labels = [ensemble.condition, ensemble.item_id].filter((text) => text !== null);
    const votes = ensemble.votes.map((vote) => {
      const won = winner !== null && textOf(vote.answer ?? "") === textOf(winner);
      const parts = ["weight", "confidence"].filter((key) => key in vote).map((key) => `${key} ${vote[key]}`);
      const title = [`${vote.member ?? "member"}: ${textOf(vote.answer ?? "no answer")}`, ...parts].join(", ");
      const answer = bdi(textOf(vote.answer ?? "-"), { class: "what" });
      return el("span", { class: won ? "vote won" : "vote", title }, el("span", { class: "dim" }, bdi(vote.member ?? "?")), answer);
    });
    const agreement = typeof ensemble.agreement === "number" ? ensemble.agreement : NaN;
    row.append(
      el("span", { class: "item" }, labels.length ? labels.map((text) => chip(text)) : bdi(String(ensemble.ensemble_id).slice(0, 12))),
      el("span", { class: "votes" }, votes),
      el("span", { class: "winner" }, winner === null ? "-" : bdi(textOf(winner), { class: "what" })),
      el("span", { class: "strategy dim" }, ensemble.strategy ?? "-"),
      el("span", { class: "agreement" }, meter(agreement || 0, "sure"), el("b", {}, known(agreement) ? `${Math.round(agreement * 100)} %` : "-")),
    );
  }
}

// A list of any length of which only the rows in sight are in the document.

const TALLEST = 15e6; // browsers stop laying out near 17 million pixels; beyond this the scroll bar is scaled
const SPARE = 6;

class VirtualList {
  // `draw(index, row)` fills a row; `open(index)` is a click or Enter; `moved(index)` follows the keyboard.
  constructor({ label, role, rowRole, height, draw, open, moved = () => {} }) {
    Object.assign(this, { height, draw, open, moved, rowRole });
    this.count = 0;
    this.active = -1;
    this.rows = new Map();
    this.spacer = el("div", { class: "spacer", role: "presentation" });
    this.element = el("div", { class: "list", role, "aria-label": label, tabindex: "0" }, this.spacer);
    this.element.addEventListener("scroll", () => this.later(), { passive: true });
    this.element.addEventListener("click", (event) => this.clicked(event));
    new ResizeObserver(() => this.later()).observe(this.element);
    this.prefix = `row-${(VirtualList.made = (VirtualList.made || 0) + 1)}`;
  }

  show(number, active = -1) {
    this.count = number;
    this.active = Math.min(active, number - 1);
    this.spacer.style.height = `${Math.min(number * this.height, TALLEST)}px`;
    this.refresh();
  }

  refresh() {
    this.rows.forEach((row) => row.remove());
    this.rows.clear();
    this.paint();
  }

  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.paint();
    });
  }

  // Where the list would be scrolled to if it were as tall as its rows are.
  get top() {
    const whole = this.count * this.height;
    if (whole <= TALLEST) return this.element.scrollTop;
    const seen = this.element.clientHeight;
    return (this.element.scrollTop / (TALLEST - seen)) * (whole - seen);
  }

  set top(value) {
    const whole = this.count * this.height;
    const seen = this.element.clientHeight;
    this.element.scrollTop = whole <= TALLEST ? value : (value / (whole - seen)) * (TALLEST - seen);
  }

  paint() {
    // the heading above keeps clear of the scroll bar, however wide this browser makes it
    const { offsetWidth, clientWidth, parentElement } = this.element;
    if (parentElement) parentElement.style.setProperty("--bar", `${offsetWidth - clientWidth}px`);
    const top = this.top;
    const from = Math.max(0, Math.floor(top / this.height) - SPARE);
    const to = Math.min(this.count, Math.ceil((top + this.element.clientHeight) / this.height) + SPARE);
    for (const [index, row] of this.rows) {
      if (index >= from && index < to) continue;
      row.remove();
      this.rows.delete(index);
    }
    const shift = this.element.scrollTop - top;
    for (let index = from; index < to; index += 1) {
      const row = this.rows.get(index) || this.make(index);
      row.style.transform = `translateY(${index * this.height + shift}px)`;
    }
  }

  make(index) {
    const row = el("div", { class: "row", role: this.rowRole, id: `${this.prefix}-${index}` });
    row.dataset.index = index;
    row.setAttribute("aria-posinset", index + 1);
    row.setAttribute("aria-setsize", this.count);
    row.style.height = `${this.height}px`;
    this.draw(index, row);
    this.mark(row, index === this.active);
    this.rows.set(index, row);
    this.spacer.append(row);
    return row;
  }

  mark(row, active) {
    row.classList.toggle("active", active);
    row.setAttribute("aria-selected", String(active));
  }

  activate(index) {
    if (!this.count) return;
    const before = this.rows.get(this.active);
    if (before) this.mark(before, false);
    this.active = Math.max(0, Math.min(this.count - 1, index));
    this.reveal();
    this.paint();
    const row = this.rows.get(this.active);
    if (row) this.mark(row, true);
    this.element.setAttribute("aria-activedescendant", `${this.prefix}-${this.active}`);
    this.moved(this.active);
  }

  reveal() {
    const at = this.active * this.height;
    const seen = this.element.clientHeight;
    if (at < this.top) this.top = at;
    else if (at + this.height > this.top + seen) this.top = at + this.height - seen;
  }

  clicked(event) {
    const row = event.target.closest(".row");
    if (!row) return;
    this.activate(Number(row.dataset.index));
    this.open(this.active);
  }

  // Returns whether the key was one of the list's.
  key(key) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height) - 1);
    const steps = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: page, PageUp: -page };
    if (key in steps) this.activate(this.active < 0 ? 0 : this.active + steps[key]);
    else if (key === "Home") this.activate(0);
    else if (key === "End") this.activate(this.count - 1);
    else if (key === "Enter" && this.active >= 0) this.open(this.active);
    else return false;
    return true;
  }
}

// Elements from names, attributes and children. Text only ever becomes text nodes: no markup is read from data.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : visible(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(visible(child)));
  }
  return node;
}

const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
const bdi = (text, attributes = {}) => el("bdi", attributes, text);

// A share of 0 to 1 as a filled bar; its width is set through the object model, which the style policy allows.
function meter(share, name) {
  const inner = el("span", { class: "meter-fill" });
  inner.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return el("span", { class: `meter ${name}`, "aria-hidden": "true" }, inner);
}

function chip(text, name = "", title = null) {
  return el("span", { class: `chip ${name}`, title }, bdi(text));
}

// What an empty list says: one sentence, and what to do.
function empty(sentence, remedy) {
  return el("div", { class: "empty" }, el("p", {}, sentence), remedy ? el("p", { class: "dim" }, remedy) : null);
}

// Numbers, times and foreign text as a reader sees them (analysis/units.py and viewer/text.py write the same).

const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

function visible(text) {
  return String(text).replace(UNSEEN, (mark) => {
    const code = mark.charCodeAt(0);
    if (code < 32) return String.fromCharCode(0x2400 + code);
    return code === 127 ? "␡" : `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
  });
}

const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

function count(value) {
  return known(value) ? Math.round(value).toLocaleString("en-US") : "-";
}

const three = (size) => size.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);

function duration(milliseconds) {
  if (!known(milliseconds)) return "-";
  const size = Math.abs(milliseconds);
  const sign = milliseconds < 0 ? "-" : "";
  const parted = (whole, large, small) => `${sign}${Math.floor(whole / 60)} ${large} ${String(whole % 60).padStart(2, "0")} ${small}`;
  if (size > 0 && size < 0.09995) return `${sign}${three(size * 1000)} µs`;
  if (size < 999.5) return `${sign}${three(size)} ms`;
  if (size < 59950) return `${sign}${three(size / 1000)} s`;
  if (size < 3599500) return parted(Math.round(size / 1000), "min", "s");
  if (size < 172770000) return parted(Math.round(size / 60000), "h", "min");
  const hours = Math.round(size / 3600000);
  const rest = hours % 24 ? ` ${String(hours % 24).padStart(2, "0")} h` : "";
  return `${sign}${count(Math.floor(hours / 24))} d${rest}`;
}

function usd(dollars) {
  if (!known(dollars)) return "-";
  const size = Math.abs(dollars);
  const sign = dollars < 0 ? "-" : "";
  if (size > 0 && size < 1) return `${sign}$${size.toFixed(Math.min(Math.max(4, 2 - Math.floor(Math.log10(size))), 100))}`;
  return `${sign}$${size.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

// Milliseconds since the epoch, in UTC: the time of day, with the day before it, or with month and day instead of parts of seconds.
function clock(milliseconds, shape = "time") {
  if (!known(milliseconds)) return "no time";
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return "no time";
  const text = date.toISOString();
  if (shape === "whole") return `${text.slice(0, 10)} ${text.slice(11, 23)} UTC`;
  return shape === "days" ? `${text.slice(5, 10)} ${text.slice(11, 19)}` : text.slice(11, 23);
}

const confidence = (value) => (known(value) ? Number(value).toFixed(2) : "-");
const plural = (number, one) => `${count(number)} ${one}${number === 1 ? "" : "s"}`;

// Indents JSON without reading its numbers, so that large ones stay as they were written. Other text comes back as it is.
function indented(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) || [];
  const out = [];
  let depth = 0;
  tokens.forEach((token, at) => {
    const before = tokens[at - 1];
    const inner = before === "{" || before === "[" || before === ",";
    const closes = token === "}" || token === "]";
    if (closes) depth -= 1;
    if (closes ? before !== "{" && before !== "[" : inner) out.push("\n" + "  ".repeat(Math.min(depth, 32)));
    out.push(token === ":" ? ": " : token);
    if (token === "{" || token === "[") depth += 1;
  });
  return out.join("");
}

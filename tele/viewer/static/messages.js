// Input and output as the messages that they are, in any of the shapes that providers and conventions use.

// Text of JSON as a list of { role, parts: [{ kind, text }] }, or null where it holds no messages.
function messagesOf(text, side) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const role = side === "output" ? "assistant" : "user";
  if (typeof value === "string") return [{ role, parts: [{ kind: "text", text: value }] }];
  const list = listOf(value);
  if (!list || !list.length) return null;
  const messages = list.map((entry) => messageOf(entry, role));
  return messages.includes(null) ? null : messages;
}

function listOf(value) {
  if (Array.isArray(value)) return value;
  if (value === null || typeof value !== "object") return null;
  if (Array.isArray(value.messages)) return value.messages;
  if (Array.isArray(value.choices)) return value.choices.map((choice) => choice?.message ?? choice);
  return typeof value.role === "string" || typeof value.content === "string" ? [value] : null;
}

function messageOf(entry, role) {
  if (typeof entry === "string") return { role, parts: [{ kind: "text", text: entry }] };
  if (entry === null || typeof entry !== "object" || Array.isArray(entry)) return null;
  const parts = [];
  if (Array.isArray(entry.parts)) parts.push(...entry.parts.map(partOf));
  if (Array.isArray(entry.content)) parts.push(...entry.content.map(partOf));
  else if (typeof entry.content === "string" && entry.content) parts.push({ kind: "text", text: entry.content });
  if (Array.isArray(entry.tool_calls)) parts.push(...entry.tool_calls.map(callOf));
  if (!parts.length && !("role" in entry)) return null;
  return { role: typeof entry.role === "string" ? entry.role : role, finish: entry.finish_reason, parts };
}

function partOf(part) {
  if (typeof part === "string") return { kind: "text", text: part };
  if (part === null || typeof part !== "object") return { kind: "text", text: String(part) };
  const text = [part.content, part.text, part.thinking].find((each) => typeof each === "string");
  if (part.type === "tool_call" || part.type === "tool_use" || part.type === "function") return callOf(part);
  if (part.type === "tool_call_response" || part.type === "tool_result") {
    return { kind: "tool result", text: textOf(part.response ?? part.result ?? part.content) };
  }
  if (part.type === "reasoning" || part.type === "thinking") return { kind: "reasoning", text: text ?? textOf(part) };
  if (text !== undefined && (part.type === undefined || part.type.includes("text"))) return { kind: "text", text };
  return { kind: typeof part.type === "string" ? part.type : "part", text: textOf(part) };
}

function callOf(call) {
  const called = call?.function && typeof call.function === "object" ? call.function : call;
  const given = called?.arguments ?? called?.input;
  return { kind: "tool call", name: textOf(called?.name ?? ""), text: given === undefined ? "" : textOf(given) };
}

const textOf = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

function drawMessages(messages) {
  const known = new Set(["system", "user", "assistant", "tool", "developer"]);
  return messages.map(({ role, finish, parts }) =>
    el(
      "article",
      { class: `message ${known.has(role) ? role : "other"}` },
      el("header", {}, bdi(role), typeof finish === "string" ? el("span", { class: "dim" }, ` ${finish}`) : null),
      parts.map((part) =>
        el(
          "div",
          { class: `part ${part.kind === "text" ? "prose" : "block"}` },
          part.kind === "text" ? null : el("span", { class: "label" }, part.kind, part.name ? " " : null, part.name ? bdi(part.name, { class: "mono" }) : null),
          part.text ? el(part.kind === "text" ? "div" : "pre", { class: "text", dir: "auto" }, part.text) : null,
        ),
      ),
    ),
  );
}

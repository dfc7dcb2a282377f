// The page's data: gzipped JSON in base64, inflated by the browser; bodies and ids only when they are asked for.

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

async function inflate(id) {
  const node = document.getElementById(id);
  if (!node) return null;
  const packed = new Blob([bytesOf(node.textContent.trim())]).stream();
  return new Response(packed.pipeThrough(new DecompressionStream("gzip"))).json();
}

// NULL becomes NaN, so that a column is one flat array.
function numbers(values) {
  const column = new Float64Array(values.length);
  for (let at = 0; at < values.length; at += 1) column[at] = values[at] === null ? NaN : values[at];
  return column;
}

function decoded(table) {
  const columns = {};
  for (const [name, column] of Object.entries(table)) {
    if (Array.isArray(column)) columns[name] = name === "id" ? column : numbers(column);
    else columns[name] = { codes: Uint32Array.from(column.codes), values: column.values };
  }
  return columns;
}

const textAt = (column, row) => (column.codes[row] ? column.values[column.codes[row] - 1] : null);

class Data {
  static async load() {
    const data = new Data(await inflate("data"));
    return data;
  }

  constructor(block) {
    this.kind = block.kind;
    this.name = block.name;
    this.spans = decoded(block.spans);
    this.traces = decoded(block.traces);
    this.chains = block.chains;
    this.ensembles = block.ensembles;
    this.lowConfidence = block.lowConfidence;
    this.bit = new Map(block.flags.map((flag, position) => [flag, 1 << position]));
    this.flagNames = block.flags;
    this.sizes = { bodies: block.bodyRows, ids: block.idRows };
    this.blocks = new Map();
    this.first = new Uint32Array(this.traces.id.length + 1);
    this.traces.rows.forEach((rows, trace) => (this.first[trace + 1] = this.first[trace] + rows));
  }

  has(row, flag) {
    return (this.spans.flags[row] & this.bit.get(flag)) !== 0;
  }

  flagsOf(row) {
    return this.flagNames.filter((flag) => this.has(row, flag));
  }

  block(kind, number) {
    const id = `${kind}-${number}`;
    if (!this.blocks.has(id)) {
      // a few blocks stay inflated: enough to walk up and down, little enough for any page
      if (this.blocks.size >= 64) this.blocks.delete(this.blocks.keys().next().value);
      this.blocks.set(id, inflate(id));
    }
    return this.blocks.get(id);
  }

  async entry(kind, row) {
    const size = this.sizes[kind];
    const block = await this.block(kind, Math.floor(row / size));
    return block ? block[row % size] : null;
  }

  body(row) {
    return this.entry("bodies", row);
  }

  spanId(row) {
    return this.entry("ids", row);
  }

  traceOf(id) {
    return this.traces.id.indexOf(id === "" ? null : id);
  }

  async rowOf(trace, spanId) {
    for (let row = this.first[trace]; row < this.first[trace + 1]; row += 1) {
      if ((await this.spanId(row)) === spanId) return row;
    }
    return -1;
  }
}

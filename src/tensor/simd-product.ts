/**
 * @file Products of matrices in WebAssembly, two 64-bit numbers to an instruction: several times as fast as the loop in
 * `linear-algebra.ts`, and the same to the bit. Every sum has a lane of its own, which adds rounded products in the
 * order of the loop; WebAssembly rounds each product and each sum as IEEE 754 says, and fuses none of them.
 *
 * The module is written out below, instruction by instruction (WebAssembly Core Specification 2.0, chapter 5).
 */

/**
 * Which sums of A Bᵀ are wanted: `all` of them, the `lower` half of a symmetric result with some above the diagonal,
 * or those of a B whose row j holds zeros before element j (`from-diagonal`), which are skipped.
 */
export type ProductForm = "all" | "lower" | "from-diagonal";

/** Writes A Bᵀ of A [n, k] and B [m, k] to `out` [n, m]. */
export type ProductInto = (
  out: Float64Array,
  a: Float64Array,
  b: Float64Array,
  sizes: { readonly n: number; readonly m: number; readonly k: number; readonly form: ProductForm },
) => void;

/** Rows of each factor in a tile: 4 by 4 sums are added up at once, and lie in 8 registers. */
const tile = 4;

/** Numbers of A that are laid out at once: they stay in the second cache. */
const blockSize = 2 ** 17;

/** Places in the module's memory, in bytes: the sums of a tile, then 4 rows of B, then rows of A. */
const [sumsAt, columnsAt] = [0, tile * tile * 8];

const pageBytes = 2 ** 16;

/**
 * The product in WebAssembly; `undefined` where the engine has no vector instructions, or a page's content security
 * policy allows no WebAssembly.
 */
export function simdProduct(): ProductInto | undefined {
  const kernel = newKernel();
  if (kernel === undefined) return undefined;
  const { memory, multiply } = kernel;
  return (out, a, b, { n, m, k, form }) => {
    const rowsAt = columnsAt + tile * k * 8;
    const blockRows = Math.max(1, Math.floor(blockSize / (tile * k))) * tile;
    const needed = rowsAt + Math.min(blockRows, n + tile) * k * 8;
    const missing = Math.ceil((needed - memory.buffer.byteLength) / pageBytes);
    if (missing > 0) memory.grow(missing);
    const sums = new Float64Array(memory.buffer, sumsAt, tile * tile);
    const columns = new Float64Array(memory.buffer, columnsAt, tile * k);
    const rows = new Float64Array(memory.buffer, rowsAt);
    for (let top = 0; top < n; top += blockRows) {
      const bottom = Math.min(n, top + blockRows);
      for (let i = top; i < bottom; i += tile) interleave(rows, (i - top) * k, a, i, n, k, 0);
      for (let j = 0; j < m; j += tile) {
        const first = form === "from-diagonal" ? j : 0;
        const start = form === "lower" ? Math.max(top, j) : top;
        if (start < bottom) interleave(columns, 0, b, j, m, k, first);
        const width = Math.min(tile, m - j);
        for (let i = start; i < bottom; i += tile) {
          const at = rowsAt + (i - top) * k * 8;
          multiply(at + first * tile * 8, columnsAt + first * tile * 8, at + k * tile * 8);
          const height = Math.min(tile, n - i);
          for (let r = 0; r < height; r++)
            for (let c = 0; c < width; c++) out[(i + r) * m + j + c] = sums[r * tile + c];
        }
      }
    }
  };
}

/** Lays 4 rows of a matrix [count, k] side by side, [k, 4], from element `first` on; zeros for rows beyond the last. */
function interleave(
  out: Float64Array,
  at: number,
  matrix: Float64Array,
  row: number,
  count: number,
  k: number,
  first: number,
): void {
  if (row + tile > count) out.fill(0, at + first * tile, at + k * tile);
  for (let r = 0; r < Math.min(tile, count - row); r++) {
    const from = (row + r) * k;
    for (let p = first, to = at + first * tile + r; p < k; p++, to += tile)
      out[to] = matrix[from + p];
  }
}

/** The part of WebAssembly that is used; an engine may have none. */
declare const WebAssembly:
  | undefined
  | {
      readonly Memory: new (size: { readonly initial: number }) => Memory;
      readonly validate: (bytes: Uint8Array) => boolean;
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (
        module: object,
        imports: Readonly<Record<string, Readonly<Record<string, Memory>>>>,
      ) => { readonly exports: { readonly multiply: Kernel["multiply"] } };
    };

interface Memory {
  readonly buffer: ArrayBuffer;
  readonly grow: (pages: number) => number;
}

interface Kernel {
  readonly memory: Memory;
  /** Adds up the products of two panels [steps, 4] that begin at these bytes; that of A ends before `end`. */
  readonly multiply: (row: number, column: number, end: number) => void;
}

function newKernel(): Kernel | undefined {
  const bytes = moduleBytes();
  if (typeof WebAssembly === "undefined" || !WebAssembly.validate(bytes)) return undefined;
  const memory = new WebAssembly.Memory({ initial: 1 });
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      [importName]: { [importName]: memory },
    });
    return { memory, multiply: exports.multiply };
  } catch {
    // A content security policy without 'wasm-unsafe-eval' forbids it. The loop in JavaScript gives the same numbers.
    return undefined;
  }
}

const importName = "m";

/** The bytes of a module with one function, `multiply(row, column, end)`. */
function moduleBytes(): Uint8Array {
  const [i32, v128] = [0x7f, 0x7b];
  const name = (text: string) => list([...text].map((letter) => letter.charCodeAt(0)));
  const header = [...[0x00, 0x61, 0x73, 0x6d], ...[0x01, 0x00, 0x00, 0x00]];
  const code = [...list([[11, v128]]), ...multiplyBody(), op.end];
  return Uint8Array.from([
    ...header,
    // (type (func (param i32 i32 i32)))
    ...section(1, list([[0x60, ...list([i32, i32, i32]), ...list([])]])),
    // (import "m" "m" (memory 1))
    ...section(2, list([[...name(importName), ...name(importName), 0x02, 0x00, 1]])),
    ...section(3, list([0])),
    // (export "multiply" (func 0))
    ...section(7, list([[...name("multiply"), 0x00, 0]])),
    ...section(10, list([[...unsigned(code.length), ...code]])),
  ]);
}

/** Opcodes; vector instructions begin with 0xfd. */
const op = {
  loop: [0x03, 0x40],
  repeatIf: [0x0d, 0],
  end: 0x0b,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  constant: 0x41,
  add: 0x6a,
  isLess: 0x49,
  load: [0xfd, 0x00, 3],
  loadTwice: [0xfd, 0x0a, 3],
  store: [0xfd, 0x0b, 3],
  addTwo: [0xfd, 0xf0, 0x01],
  multiplyTwo: [0xfd, 0xf2, 0x01],
} as const;

/**
 * For each step: 4 numbers of B are loaded as two vectors, each of the 4 of A into both lanes of one, and the products
 * added to the 8 vectors of sums.
 */
function multiplyBody(): readonly number[] {
  const [row, column, end] = [0, 1, 2];
  const [left, right, factor] = [3, 4, 5];
  const sum = (r: number, half: number) => 6 + 2 * r + half;
  const quarters = [0, 1, 2, 3];
  const addProduct = (r: number, half: number, values: number) => [
    ...[op.get, sum(r, half), op.get, factor, op.get, values],
    ...[...op.multiplyTwo, ...op.addTwo, op.set, sum(r, half)],
  ];
  const advance = (pointer: number) => [op.get, pointer, op.constant, tile * 8, op.add];
  return [
    ...op.loop,
    ...[op.get, column, ...op.load, 0, op.set, left],
    ...[op.get, column, ...op.load, 16, op.set, right],
    ...quarters.flatMap((r) => [
      ...[op.get, row, ...op.loadTwice, 8 * r, op.set, factor],
      ...addProduct(r, 0, left),
      ...addProduct(r, 1, right),
    ]),
    ...[...advance(column), op.set, column],
    ...[...advance(row), op.tee, row, op.get, end, op.isLess],
    ...[...op.repeatIf, op.end],
    ...quarters.flatMap((r) =>
      [0, 1].flatMap((half) => [
        ...[op.constant, sumsAt, op.get, sum(r, half)],
        ...[...op.store, ...unsigned(32 * r + 16 * half)],
      ]),
    ),
  ];
}

function section(id: number, content: readonly number[]): readonly number[] {
  return [id, ...unsigned(content.length), ...content];
}

/** A vector of the binary format: its length, then its elements. */
function list(elements: readonly (number | readonly number[])[]): readonly number[] {
  return [...unsigned(elements.length), ...elements.flat()];
}

/** A whole number of 0 or more in LEB128. */
function unsigned(value: number): readonly number[] {
  const low = value & 0x7f;
  return value < 0x80 ? [low] : [low | 0x80, ...unsigned(value >> 7)];
}

/**
 * @file Products of matrices in WebAssembly, two 64-bit numbers to an instruction: several times as fast as the loop in
 * `linear-algebra.ts`, and the same to the bit. Every sum has a lane of its own, which adds rounded products in the
 * order of the loop; WebAssembly rounds each product and each sum as IEEE 754 says, and fuses none of them.
 *
 * The module is written out below, instruction by instruction (WebAssembly Core Specification 2.0, chapter 5).
 */

/** Rows of numbers in a larger array: element p of row i lies at `at` + i · `stride` + p · `step`. */
export interface Rows {
  readonly data: Float64Array;
  readonly at: number;
  readonly stride: number;
  readonly step: number;
}

/** The product that is wanted of A [n, k] and B [m, k], both by rows. */
export interface ProductPlan {
  readonly n: number;
  readonly m: number;
  readonly k: number;
  /** Whether only the sums (i, j) with j <= i are wanted. Some of the others may be written as well. */
  readonly isLower: boolean;
  /** The element with which each sum begins: those before are zeros in row i of A (`row`), or in row j of B (`column`). */
  readonly from: "first" | "row" | "column";
  /** What becomes of the sums: they replace what is there, or it counts as their first term, or they are taken off it. */
  readonly effect: "set" | "add" | "subtract";
}

/** Computes A Bᵀ [n, m] into `out`, whose rows have steps of 1. */
export type ProductInto = (out: Rows, a: Rows, b: Rows, plan: ProductPlan) => void;

/** Rows of each factor in a tile: 4 by 4 sums are added up at once, and lie in 8 registers. */
export const tile = 4;

/** Elements of each row that are dealt with at once: 4 rows of each factor stay in the first cache. */
const mostSteps = 512;
/** Numbers of A that are laid out at once: they stay in the second cache. */
const blockSize = 2 ** 15;

/** The place of the sums of a tile in the module's memory, in bytes; behind them lie all of B, and rows of A. */
const sumsAt = 0;
const columnsAt = tile * tile * 8;

const pageBytes = 2 ** 16;

/**
 * The product in WebAssembly; `undefined` where the engine has no vector instructions, or a page's content security
 * policy allows no WebAssembly.
 */
export function simdProduct(): ProductInto | undefined {
  const kernel = newKernel();
  if (kernel === undefined) return undefined;
  return (out, a, b, plan) => {
    for (let from = 0; from < plan.k; from += mostSteps)
      addSteps(kernel, out, a, b, plan, from, Math.min(plan.k, from + mostSteps));
  };
}

/** Adds the products of the elements from `from` to `to` of each row; the first ones start the sums. */
function addSteps(
  { memory, begin, goOn }: Kernel,
  out: Rows,
  a: Rows,
  b: Rows,
  plan: ProductPlan,
  from: number,
  to: number,
): void {
  const { n, m, isLower, effect } = plan;
  const steps = to - from;
  const panelBytes = tile * steps * 8;
  const blockRows = Math.max(1, Math.floor(blockSize / (tile * steps))) * tile;
  const rowsAt = columnsAt + Math.ceil(m / tile) * panelBytes;
  const needed = rowsAt + Math.ceil(Math.min(blockRows, n) / tile) * panelBytes;
  const missing = Math.ceil((needed - memory.buffer.byteLength) / pageBytes);
  if (missing > 0) memory.grow(missing);
  const sums = new Float64Array(memory.buffer, sumsAt, tile * tile);
  const columns = new Float64Array(memory.buffer, columnsAt);
  const rows = new Float64Array(memory.buffer, rowsAt);
  for (let j = 0; j < m; j += tile) interleave(columns, j * steps, b, j, m, from, to);
  // A matrix times itself is laid out once.
  const isSame = a.data === b.data && a.at === b.at && a.stride === b.stride && n === m;
  const sign = effect === "subtract" ? -1 : 1;
  for (let top = 0; top < n; top += blockRows) {
    const bottom = Math.min(n, top + blockRows);
    if (!isSame)
      for (let i = top; i < bottom; i += tile)
        interleave(rows, (i - top) * steps, a, i, n, from, to);
    const blockAt = isSame ? columnsAt + top * steps * 8 : rowsAt;
    for (let j = 0; j < m; j += tile)
      for (let i = isLower ? Math.max(top, j) : top; i < bottom; i += tile) {
        const first = firstOf(plan, i, j);
        if (first >= to) continue;
        const skipped = Math.max(0, first - from) * tile * 8;
        const row = blockAt + (i - top) * steps * 8;
        const column = columnsAt + j * steps * 8 + skipped;
        const place = out.at + i * out.stride + j;
        const isWhole = i + tile <= n && j + tile <= m;
        const [height, width] = isWhole ? [tile, tile] : [n - i, m - j];
        if (effect === "set" && first >= from) begin(row + skipped, column, row + panelBytes);
        else {
          loadSums(sums, out.data, place, out.stride, sign, height, width);
          goOn(row + skipped, column, row + panelBytes);
        }
        storeSums(out.data, sums, place, out.stride, sign, height, width);
      }
  }
}

/** The element with which the sums of a tile begin, whose first row is i and whose first column is j. */
export function firstOf({ from }: ProductPlan, i: number, j: number): number {
  return from === "first" ? 0 : from === "row" ? i : j;
}

/** Lays 4 rows of a matrix of `count` rows side by side, [to - from, 4]; zeros for rows beyond the last. */
function interleave(
  out: Float64Array,
  at: number,
  { data, at: start, stride, step }: Rows,
  row: number,
  count: number,
  from: number,
  to: number,
): void {
  const end = at + (to - from) * tile;
  let first = start + row * stride + from * step;
  if (row + tile <= count) {
    for (let place = at; place < end; place += tile, first += step) {
      out[place] = data[first];
      out[place + 1] = data[first + stride];
      out[place + 2] = data[first + 2 * stride];
      out[place + 3] = data[first + 3 * stride];
    }
    return;
  }
  out.fill(0, at, end);
  for (let r = 0; r < count - row; r++)
    for (let place = at + r, p = first + r * stride; place < end; place += tile, p += step)
      out[place] = data[p];
}

/** Lets the sums of a tile begin with what is there, which is up to 4 by 4 numbers. */
function loadSums(
  sums: Float64Array,
  data: Float64Array,
  at: number,
  stride: number,
  sign: number,
  height: number,
  width: number,
): void {
  for (let r = 0, from = at; r < Math.min(tile, height); r++, from += stride) {
    if (width >= tile) {
      sums[r * tile] = sign * data[from];
      sums[r * tile + 1] = sign * data[from + 1];
      sums[r * tile + 2] = sign * data[from + 2];
      sums[r * tile + 3] = sign * data[from + 3];
    } else for (let c = 0; c < width; c++) sums[r * tile + c] = sign * data[from + c];
  }
}

function storeSums(
  data: Float64Array,
  sums: Float64Array,
  at: number,
  stride: number,
  sign: number,
  height: number,
  width: number,
): void {
  for (let r = 0, to = at; r < Math.min(tile, height); r++, to += stride) {
    if (width >= tile) {
      data[to] = sign * sums[r * tile];
      data[to + 1] = sign * sums[r * tile + 1];
      data[to + 2] = sign * sums[r * tile + 2];
      data[to + 3] = sign * sums[r * tile + 3];
    } else for (let c = 0; c < width; c++) data[to + c] = sign * sums[r * tile + c];
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
      ) => { readonly exports: Pick<Kernel, "begin" | "goOn"> };
    };

interface Memory {
  readonly buffer: ArrayBuffer;
  readonly grow: (pages: number) => number;
}

interface Kernel {
  readonly memory: Memory;
  /** Adds up the products of two panels [steps, 4] that begin at these bytes; that of A ends before `end`. */
  readonly begin: (row: number, column: number, end: number) => void;
  /** The same, to the sums that are there. */
  readonly goOn: (row: number, column: number, end: number) => void;
}

function newKernel(): Kernel | undefined {
  const bytes = moduleBytes();
  if (typeof WebAssembly === "undefined" || !WebAssembly.validate(bytes)) return undefined;
  const memory = new WebAssembly.Memory({ initial: 1 });
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      [importName]: { [importName]: memory },
    });
    return { memory, begin: exports.begin, goOn: exports.goOn };
  } catch {
    // A content security policy without 'wasm-unsafe-eval' forbids it. The loop in JavaScript gives the same numbers.
    return undefined;
  }
}

const importName = "m";

/** The bytes of a module with two functions, `begin(row, column, end)` and `goOn(row, column, end)`. */
function moduleBytes(): Uint8Array {
  const [i32, v128] = [0x7f, 0x7b];
  const name = (text: string) => list([...text].map((letter) => letter.charCodeAt(0)));
  const header = [...[0x00, 0x61, 0x73, 0x6d], ...[0x01, 0x00, 0x00, 0x00]];
  const codeOf = (goesOn: boolean) => [...list([[11, v128]]), ...multiplyBody(goesOn), op.end];
  const codes = [codeOf(false), codeOf(true)];
  return Uint8Array.from([
    ...header,
    // (type (func (param i32 i32 i32)))
    ...section(1, list([[0x60, ...list([i32, i32, i32]), ...list([])]])),
    // (import "m" "m" (memory 1))
    ...section(2, list([[...name(importName), ...name(importName), 0x02, 0x00, 1]])),
    ...section(3, list([0, 0])),
    // (export "begin" (func 0)) (export "goOn" (func 1))
    ...section(7, list(["begin", "goOn"].map((each, at) => [...name(each), 0x00, at]))),
    ...section(10, list(codes.map((code) => [...unsigned(code.length), ...code]))),
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
 * The sums begin with 0, or go on from those in memory, and go back there. For each step, 4 numbers of B are loaded as
 * two vectors, each of the 4 of A into both lanes of one, and the products added to the 8 vectors of sums.
 */
function multiplyBody(goesOn: boolean): readonly number[] {
  const [row, column, end] = [0, 1, 2];
  const [left, right, factor] = [3, 4, 5];
  const sum = (r: number, half: number) => 6 + 2 * r + half;
  const quarters = [0, 1, 2, 3];
  const addProduct = (r: number, half: number, values: number) => [
    ...[op.get, sum(r, half), op.get, factor, op.get, values],
    ...[...op.multiplyTwo, ...op.addTwo, op.set, sum(r, half)],
  ];
  const advance = (pointer: number) => [op.get, pointer, op.constant, tile * 8, op.add];
  const quarterAt = (r: number, half: number) => unsigned(32 * r + 16 * half);
  const before = quarters.flatMap((r) =>
    [0, 1].flatMap((half) => [
      ...[op.constant, sumsAt, ...op.load, ...quarterAt(r, half), op.set, sum(r, half)],
    ]),
  );
  return [
    ...(goesOn ? before : []),
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
        ...[...op.store, ...quarterAt(r, half)],
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

/** @file The plan: the chosen removal in the original's indices, which can be read, edited and applied again. */
import { EspalierError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import { allocate, bytesOf, isStrings, sizeOf } from "../tensor/host-tensor.ts";
import { type Removed, removeNothing, withDependants } from "./units/removal.ts";
import type { Structure } from "./units/units.ts";
import type { Edit } from "./weights/edits.ts";
import { noZeros, type Zeros } from "./weights/zeros.ts";

/** One filter axis of a plan. */
export interface PlanAxis {
  readonly node: string;
  /** The parameter. */
  readonly tensor: string;
  readonly axis: number;
  readonly width: number;
  /** Indices that stay, ascending. */
  readonly kept: readonly number[];
}

/** The filter axes that share channels, as `inspect` groups them. */
export interface PlanGroup {
  readonly id: string;
  readonly axes: readonly PlanAxis[];
}

/** A new value for a parameter of a consumer (see `edits.ts`), elements as base64 little-endian bytes. */
export interface PlanEdit {
  readonly node: string;
  readonly input: number;
  readonly dtype: "float32" | "float16" | "float64" | "bfloat16";
  readonly shape: readonly number[];
  readonly base64: string;
}

/** Elements of a weight that become 0. */
export interface PlanZeros {
  /** The constant. */
  readonly tensor: string;
  readonly shape: readonly number[];
  /** The number of elements that become 0, or are 0 already. */
  readonly count: number;
  /** One bit for each element, row by row, the lowest of a byte first: 1 where it becomes 0. */
  readonly base64: string;
}

/** The file `OUT.plan.json`. */
export interface Plan {
  readonly format: "espalier-plan";
  readonly version: 1;
  /** The way in which the plan was made, for people. */
  readonly method: string;
  /** Whether the plan holds features of inputs and flattened maps that layers select (axes of their weights). */
  readonly selectsInputs?: true | undefined;
  readonly groups: readonly PlanGroup[];
  /** Single weights, applied before all else; absent where there are none. */
  readonly zeros?: readonly PlanZeros[] | undefined;
  /** Compensation and refitting, applied before the removal. */
  readonly edits: readonly PlanEdit[];
}

/** The plan for a removal. Groups that lose nothing are left out. */
export function planOf(
  structure: Structure,
  removed: Removed,
  method: string,
  edits: readonly Edit[],
  zeros: Zeros = noZeros,
): Plan {
  const groups = structure.groups
    .filter((group) => group.units.some((unit) => removed[unit] === 1))
    .map((group) => ({
      id: group.id,
      axes: group.axes.map((position) => {
        const { node, tensor, axis, width, units } = structure.filterAxes[position];
        const kept = [...units.keys()].filter((index) => removed[units[index]] === 0);
        return { node: node.name, tensor, axis, width, kept };
      }),
    }));
  return {
    format: "espalier-plan",
    version: 1,
    method,
    ...(structure.analysis.selectsInputs && { selectsInputs: true }),
    groups,
    ...(zeros.size > 0 && { zeros: encodeZeros(structure.analysis.graph, zeros) }),
    edits: edits.map(encodeEdit),
  };
}

/**
 * The units that a plan removes. Throws `PLAN_INVALID`, naming every offence, when the plan names
 * axes that the network does not have, cuts part of a unit, cuts what must stay, or empties an axis.
 */
export function removalOf(structure: Structure, plan: Plan): Removed {
  const removed = removeNothing(structure);
  const faults: string[] = [];
  const stays = new Map<number, string>();
  const gone: { readonly unit: number; readonly where: string }[] = [];
  for (const { axes } of plan.groups) {
    for (const { node, tensor, axis, width, kept } of axes) {
      const where = `"${tensor}" axis ${axis} of "${node}"`;
      const found = structure.filterAxes.find(
        (candidate) =>
          candidate.tensor === tensor && candidate.axis === axis && candidate.node.name === node,
      );
      if (found === undefined || found.width !== width) {
        faults.push(`${where} (width ${width}) is not in the network`);
        continue;
      }
      const isKept = new Set(kept);
      if (kept.length === 0) faults.push(`${where} keeps nothing`);
      if ([...isKept].some((index) => !(index >= 0 && index < width && Number.isInteger(index))))
        faults.push(`${where} keeps an index outside 0..${width - 1}`);
      for (const [index, unit] of found.units.entries()) {
        if (isKept.has(index)) stays.set(unit, `${where} keeps index ${index}`);
        else gone.push({ unit, where: `${where} drops index ${index}` });
      }
    }
  }
  for (const { unit, where } of gone) {
    const { reason } = structure.units[unit];
    const contradiction = stays.get(unit);
    if (reason !== undefined) faults.push(`${where}, which must stay: ${reason}`);
    else if (contradiction !== undefined)
      faults.push(`${where}, but it is one unit with what ${contradiction}`);
    removed[unit] = 1;
  }
  const all = withDependants(structure, removed);
  for (const [unit, where] of stays)
    if (all[unit] === 1 && removed[unit] === 0) faults.push(`${where}, whose channel is dropped`);
  if (faults.length > 0)
    throw new EspalierError("PLAN_INVALID", `the plan does not fit: ${faults.join("; ")}`, {
      hint: "Cut all axes of a group at the same units; `espalier inspect --json` lists them.",
      data: { faults },
    });
  return all;
}

/** The weights that a plan makes 0. Throws `PLAN_INVALID` for weights that the network does not have. */
export function zerosOf({ constants }: Graph, plan: Plan): Zeros {
  return new Map(
    (plan.zeros ?? []).map(({ tensor, shape, count, base64 }) => {
      const bits = fromBase64(base64);
      const size = sizeOf(shape);
      const flags = Uint8Array.from({ length: size }, (_, i) => (bits[i >> 3] >> (i & 7)) & 1);
      const isThere = constants.get(tensor)?.shape.join() === shape.join();
      const isWhole = bits.length === Math.ceil(size / 8);
      if (!isThere || !isWhole || flags.reduce((sum, flag) => sum + flag, 0) !== count)
        throw new EspalierError("PLAN_INVALID", `the zeros of "${tensor}" do not fit`, {
          hint: "Zeros are one bit for each element of a weight of the network, and their number.",
          data: { tensor, shape },
        });
      return [tensor, flags];
    }),
  );
}

function encodeZeros({ constants }: Graph, zeros: Zeros): PlanZeros[] {
  return [...zeros].map(([tensor, flags]) => {
    const bits = new Uint8Array(Math.ceil(flags.length / 8));
    for (const [i, flag] of flags.entries()) bits[i >> 3] |= flag << (i & 7);
    const count = flags.reduce((sum, flag) => sum + flag, 0);
    const { shape } = constants.get(tensor) ?? { shape: [flags.length] };
    return { tensor, shape, count, base64: toBase64(bits) };
  });
}

/** The edits of a plan. Throws `PLAN_INVALID` for contents that do not fit their shape. */
export function editsOf(plan: Plan): Edit[] {
  return plan.edits.map(({ node, input, dtype, shape, base64 }) => {
    const data = allocate(dtype, sizeOf(shape));
    const bytes = fromBase64(base64);
    if (bytes.length !== data.byteLength)
      throw new EspalierError(
        "PLAN_INVALID",
        `the edit of "${node}" input ${input} holds ${bytes.length} bytes, its shape needs ${data.byteLength}`,
      );
    bytesOf(data).set(bytes);
    return { node, input, tensor: { dtype, shape, data } };
  });
}

function encodeEdit({ node, input, tensor }: Edit): PlanEdit {
  const { dtype, shape, data } = tensor;
  if (isStrings(data) || !isEditable(dtype))
    throw new EspalierError("PLAN_INVALID", `an edit of "${node}" holds ${dtype}`);
  return { node, input, dtype, shape, base64: toBase64(bytesOf(data)) };
}

function isEditable(dtype: string): dtype is PlanEdit["dtype"] {
  return ["float32", "float16", "float64", "bfloat16"].includes(dtype);
}

/** The characters of base64, by what they stand for, and the padding (RFC 4648, section 4). */
const alphabet = Uint8Array.from(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
  (char) => char.charCodeAt(0),
);
const padding = "=".charCodeAt(0);

/** Two characters for 12 bits, as the two bytes of a number. */
const pairs = new Uint16Array(
  Uint8Array.from({ length: 2 ** 13 }, (_, i) =>
    i % 2 === 0 ? alphabet[i >> 7] : alphabet[(i >> 1) & 63],
  ).buffer,
);

/** Gives what `btoa` gives. `btoa` itself took 5 of the 18 CPU seconds that pruning a VGG-16 took. */
function toBase64(bytes: Uint8Array): string {
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  const words = new Uint16Array(text.buffer);
  const whole = bytes.length - (bytes.length % 3);
  let at = 0;
  for (let i = 0; i < whole; i += 3) {
    const bits = (bytes[i] << 16) | (bytes[i + 1] << 8) | bytes[i + 2];
    words[at++] = pairs[bits >> 12];
    words[at++] = pairs[bits & 0xfff];
  }
  const missing = (3 - (bytes.length % 3)) % 3;
  if (missing > 0) {
    const bits = (bytes[whole] << 16) | ((bytes[whole + 1] ?? 0) << 8);
    words[at++] = pairs[bits >> 12];
    words[at++] = pairs[bits & 0xfff];
    text.fill(padding, text.length - missing);
  }
  return new TextDecoder().decode(text);
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch (cause) {
    throw new EspalierError("PLAN_INVALID", "an edit is not base64", { cause });
  }
}

/**
 * @file How each operator's older forms become the canonical one, opset 7 and up.
 *
 * Operators that are not listed have not changed in a way that a reader of the new form would
 * misread: only types, defaults that mean the same, and optional features were added. Forms that
 * have no canonical equivalent get an operator type of their own, which no rule knows.
 */
import type { Attribute, Node } from "../../ir/graph.ts";
import type { DType } from "../../tensor/dtype.ts";
import { type HostTensor, int64Vector, tensorOf } from "../../tensor/host-tensor.ts";

/** An input of the canonical form: an input of the old one by index, an attribute, or nothing. */
export type LiftedInput =
  | number
  | "absent"
  | {
      readonly attribute: string;
      readonly form: "int" | "ints" | "float" | "floats";
      /** `undefined` when the old node has no such attribute. */
      readonly tensor: HostTensor | undefined;
    };

/** What differs in the canonical form. */
export interface LiftChange {
  readonly opType?: string;
  readonly inputs?: readonly LiftedInput[];
  readonly attributes?: ReadonlyMap<string, Attribute>;
}

/** What the rules may ask about values. */
export interface ValueFacts {
  /** The element type; float32 when nothing is known. */
  dtypeOf(name: string): DType;
  /** The declared sizes, `undefined` when not even the rank is known. */
  shapeOf(name: string): readonly (number | string)[] | undefined;
}

/** The change that makes a node of `opset` canonical; `undefined` when it is already. */
export type LiftRule = (node: Node, opset: number, facts: ValueFacts) => LiftChange | undefined;

/** An attribute list of whole numbers as an int64 vector. */
function ints(node: Node, attribute: string): LiftedInput {
  const value = node.attributes.get(attribute);
  const tensor = value?.kind === "ints" ? int64Vector(value.value) : undefined;
  return { attribute, form: "ints", tensor };
}

/** A float attribute as a scalar. */
function float(node: Node, attribute: string, dtype: DType): LiftedInput {
  const value = node.attributes.get(attribute);
  const tensor = value?.kind === "float" ? tensorOf(dtype, [], [value.value]) : undefined;
  return { attribute, form: "float", tensor };
}

const int = (value: number): Attribute => ({ kind: "int", value });
const text = (value: string): Attribute => ({ kind: "string", value });

/** The axes became input 1 with opset `since`. */
function axesBecameInput(since: number): LiftRule {
  return (node, opset) => (opset < since ? { inputs: [0, ints(node, "axes")] } : undefined);
}

/**
 * Before opset 13 Softmax and its kin flattened to [d₀ ⋯ dₐ₋₁, dₐ ⋯ dₙ₋₁] at `axis` (default 1) and
 * worked on rows. That is the canonical form where all axes behind `axis` have size 1, and stays
 * marked by `flatten` elsewhere.
 */
const flattening: LiftRule = (node, opset, facts) => {
  if (opset >= 13) return undefined;
  const given = node.attributes.get("axis");
  const axis = given?.kind === "int" ? given.value : 1;
  const shape = facts.shapeOf(node.inputs[0] ?? "");
  const behind = shape?.slice(axis < 0 ? axis + shape.length + 1 : axis + 1);
  const attributes = new Map(given === undefined ? [["axis", int(axis)]] : []);
  if (!behind?.every((dim) => dim === 1)) attributes.set("flatten", int(1));
  return { attributes };
};

/** Before Resize-11 samples lay at `x_out / scale`, rounded down. */
const asymmetric: ReadonlyMap<string, Attribute> = new Map([
  ["coordinate_transformation_mode", text("asymmetric")],
  ["nearest_mode", text("floor")],
]);

/** GridSample's modes before opset 20, where they were renamed. */
const gridSampleModes: ReadonlyMap<string, string> = new Map([
  ["bilinear", "linear"],
  ["bicubic", "cubic"],
]);

const reductions = [
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
  "ReduceMax",
  "ReduceMean",
  "ReduceMin",
  "ReduceProd",
  "ReduceSumSquare",
];

const rules: Readonly<Record<string, LiftRule>> = {
  ...Object.fromEntries(reductions.map((opType) => [opType, axesBecameInput(18)])),
  ReduceSum: axesBecameInput(13),
  Squeeze: axesBecameInput(13),
  Unsqueeze: axesBecameInput(13),

  Softmax: flattening,
  LogSoftmax: flattening,
  Hardmax: flattening,

  Clip(node, opset, { dtypeOf }) {
    if (opset >= 11) return undefined;
    const dtype = dtypeOf(node.inputs[0] ?? "");
    return { inputs: [0, float(node, "min", dtype), float(node, "max", dtype)] };
  },

  Dropout: (node, opset) =>
    opset < 12 ? { inputs: [0, float(node, "ratio", "float32")] } : undefined,

  Slice: (node, opset) =>
    opset < 10
      ? { inputs: [0, ints(node, "starts"), ints(node, "ends"), ints(node, "axes")] }
      : undefined,

  // Equal shares were implied by the number of outputs until opset 18 asked for `num_outputs`.
  Split(node, opset) {
    if (opset >= 18) return undefined;
    const sizes = opset < 13 ? ints(node, "split") : 1;
    const isGiven = opset < 13 ? node.attributes.has("split") : (node.inputs[1] ?? "") !== "";
    const shares: [string, Attribute][] = [["num_outputs", int(node.outputs.length)]];
    return { inputs: [0, sizes], ...(isGiven ? {} : { attributes: new Map(shares) }) };
  },

  Pad(node, opset, { dtypeOf }) {
    if (opset >= 11) return undefined;
    const value = float(node, "value", dtypeOf(node.inputs[0] ?? ""));
    return { inputs: [0, ints(node, "pads"), value] };
  },

  TopK(node, opset) {
    if (opset >= 10) return undefined;
    const k = node.attributes.get("k");
    const tensor = k?.kind === "int" ? int64Vector([k.value]) : undefined;
    return { inputs: [0, { attribute: "k", form: "int", tensor }] };
  },

  Upsample(node, opset) {
    const scales = node.attributes.get("scales");
    const values = scales?.kind === "floats" ? scales.value : undefined;
    const tensor = values && tensorOf("float32", [values.length], values);
    const input: LiftedInput = opset < 9 ? { attribute: "scales", form: "floats", tensor } : 1;
    return { opType: "Resize", inputs: [0, "absent", input], attributes: asymmetric };
  },

  Resize: (_, opset) =>
    opset < 11 ? { inputs: [0, "absent", 1], attributes: asymmetric } : undefined,

  BatchNormalization(node, opset) {
    const spatial = node.attributes.get("spatial");
    if (opset < 9 && spatial?.kind === "int" && spatial.value === 0)
      return { opType: "BatchNormalization:spatial=0" };
    // More outputs than Y meant training; since opset 14 an attribute says so.
    const isTraining = opset < 14 && node.outputs.slice(1).some((name) => name !== "");
    return isTraining ? { opType: "BatchNormalization:training" } : undefined;
  },

  // Until opset 21 scale and bias had one entry per group, not per channel.
  GroupNormalization: (_, opset) => (opset < 21 ? { opType: "GroupNormalization:18" } : undefined),

  GridSample(node, opset) {
    const mode = node.attributes.get("mode");
    if (opset >= 20 || mode?.kind !== "string") return undefined;
    const renamed = gridSampleModes.get(mode.value);
    return renamed === undefined ? undefined : { attributes: new Map([["mode", text(renamed)]]) };
  },

  RoiAlign: (_, opset) =>
    opset < 16
      ? {
          attributes: new Map([["coordinate_transformation_mode", text("output_half_pixel")]]),
        }
      : undefined,

  Scatter: () => ({ opType: "ScatterElements" }),
};

/** The rules by operator type; operators that are not here are canonical in every opset from 7 on. */
export const liftRules: ReadonlyMap<string, LiftRule> = new Map(Object.entries(rules));

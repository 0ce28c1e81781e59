/** @file ConvTranspose: the transposed convolution (1-D to 3-D), grouped, dilated, strided. */
import type { Dim } from "../../ir/graph.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { behindLayer } from "../operator/constant-channels.ts";
import { range } from "../operator/known.ts";
import type { NotApplicable } from "../operator/not-applicable.ts";
import { defineOp, notFolded } from "../operator/operator.ts";
import { type LinearRole, linearRole, type Window } from "../operator/role.ts";
import { mapDims } from "../operator/shapes.ts";
import { linearMoments, mixedMoments } from "../operator/statistics.ts";
import { trains } from "../operator/training.ts";
import { shrinkGroups } from "./conv.ts";
import { convTransposeGradient } from "./conv-gradient.ts";
import { tieGroups } from "./groups.ts";
import { checkWindow, windowAttributes } from "./window.ts";

interface ConvTransposeAttributes extends Window {
  readonly group: number;
  readonly outputPadding: readonly number[] | undefined;
  readonly outputShape: readonly number[] | undefined;
}

function roleOfConvTranspose(attrs: ConvTransposeAttributes): LinearRole | NotApplicable {
  const { group, autoPad, kernel, strides, dilations, pads, outputShape } = attrs;
  if (outputShape !== undefined) return { none: "an explicit output_shape moves its pads" };
  const window = { autoPad, kernel, strides, dilations, pads };
  return linearRole({ group, layout: "inOut", window, isTransposed: true });
}

export const convTranspose = defineOp<ConvTransposeAttributes>({
  opType: "ConvTranspose",
  summary: "X [N, C, ...], W [C, O/group, ...k], B [O] → Y [N, O, ...]",
  attributes: (raw) => ({
    ...windowAttributes(raw),
    group: raw.int("group", 1),
    outputPadding: raw.ints("output_padding"),
    outputShape: raw.ints("output_shape"),
  }),

  infer(context) {
    const { group, strides, dilations, pads, autoPad, outputPadding, outputShape } = context.attrs;
    const x = context.required(0).type;
    const w = context.required(1).type.shape;
    const bias = context.inputs[2]?.type.shape;
    if (x.shape === undefined || w === undefined) return [{ dtype: x.dtype, shape: undefined }];
    const rank = x.shape.length;
    if (rank < 3) context.fail(`X has rank ${rank}, expected [N, C, ...spatial]`);
    if (w.length !== rank) context.fail(`W has rank ${w.length}, X has rank ${rank}`);
    if (group < 1) context.fail(`group is ${group}`);
    const [batch, channels, ...spatial] = x.shape;
    const [rows, perGroup, ...kernel] = w;
    const n = spatial.length;
    if (typeof channels === "number" && typeof rows === "number" && channels !== rows)
      context.fail(`X has ${channels} channels, W [${w.join(", ")}] expects ${rows}`);
    if (typeof channels === "number" && channels % group !== 0)
      context.fail(`${channels} channels do not divide into ${group} groups`);
    const filters = mapDims(context, [perGroup], (size) => size * group);
    if (bias && (bias.length !== 1 || (typeof bias[0] === "number" && bias[0] !== filters)))
      context.fail(`B has shape [${bias.join(", ")}], expected [${filters}]`);
    checkWindow(context, n, context.attrs, kernel);
    if (outputPadding && outputPadding.length !== n)
      context.fail(`output_padding has ${outputPadding.length} entries, ${n} expected`);
    const explicit = outputShape?.slice(-n);
    if (explicit && explicit.length !== n)
      context.fail(`output_shape has ${explicit.length} entries, ${n} expected`);
    const out = spatial.map((size, i): Dim => {
      if (explicit) return explicit[i];
      const stride = strides?.[i] ?? 1;
      const extra = outputPadding?.[i] ?? 0;
      return mapDims(context, [size, kernel[i]], (input, k) => {
        const full = (input - 1) * stride + (dilations?.[i] ?? 1) * (k - 1) + 1 + extra;
        if (autoPad === "SAME_UPPER" || autoPad === "SAME_LOWER") return input * stride;
        const result = autoPad === "VALID" ? full : full - (pads?.[i] ?? 0) - (pads?.[i + n] ?? 0);
        if (result < 0) context.fail(`the pads of spatial axis ${i} leave a size of ${result}`);
        return result;
      });
    });
    return [{ dtype: x.dtype, shape: [batch, filters, ...out] }];
  },

  fold: notFolded,

  // The ties are those of a convolution with X and Y exchanged: W's axis 0 runs over X's channels of all
  // groups, axis 1 over Y's channels of one group.
  ties(t) {
    const [x, w, y] = [t.input(0), t.input(1), t.output()];
    const bias = t.inputs[2];
    t.define(y, 0, t.ids(x, 0));
    const rows = t.ids(w, 0);
    const columns = t.ids(w, 1);
    const filters = t.attrs.group === 1 ? columns : t.fresh(y.shape[1]);
    t.unite(t.ids(x, 1), rows);
    const mode = tieGroups(t, {
      group: t.attrs.group,
      outer: rows,
      inner: columns,
      channels: filters,
    });
    t.define(y, 1, filters);
    if (bias) t.unite(t.ids(bias, 0), filters);
    t.reads(x, 1);
    // Where whole groups go, the rows of W that go with them are the group's filters.
    t.produces(w, mode === "whole groups" ? 0 : 1);
    for (let axis = 2; axis < x.shape.length; axis++) {
      t.fix(t.ids(x, axis), "a spatial position under a transposed convolution");
      t.fix(t.ids(w, axis), "a kernel position");
      t.fix(t.ids(y, axis), "a spatial position of a transposed convolution");
    }
  },

  shrink: (context) => shrinkGroups(context, context.outputs[0], context.inputs[1]),

  // With strides, output positions take turns in which taps they see: a mixture of as many kinds of
  // positions as the product of the strides.
  moments(context) {
    const w = context.inputs[1];
    const weights = context.numbers(1);
    if (!w || !weights) return [undefined];
    const [rows, perGroup, ...kernel] = w.shape;
    const { group, strides } = context.attrs;
    const phases = phasesOf(context.attrs, kernel);
    const taps = phases.length;
    const kinds = range(sizeOf(strides ?? [])).map((phase) =>
      linearMoments(context.moments(0), context.numbers(2), perGroup * group, (o, add) => {
        const g = Math.floor(o / perGroup);
        for (let c = (g * rows) / group; c < ((g + 1) * rows) / group; c++) {
          const at = (c * perGroup + (o % perGroup)) * taps;
          for (let k = 0; k < taps; k++) if (phases[k] === phase) add(c, weights[at + k]);
        }
      }),
    );
    return [mixedMoments(kinds)];
  },

  // Every input element is multiplied with [O/group, ...k] weights.
  macs({ inputs: [x, w] }) {
    return x === undefined || w === undefined ? 0 : sizeOf(x) * sizeOf(w.slice(1));
  },

  gradient: { rule: convTransposeGradient },
  role: roleOfConvTranspose,
  training: trains(1, 2),
  constantChannels: behindLayer(roleOfConvTranspose),
  hidesDifferences: false,
});

/** For each tap of the kernel, row-major: which of the positions modulo the strides it falls on. */
function phasesOf({ strides, dilations }: Window, kernel: readonly number[]): readonly number[] {
  let phases: readonly number[] = [0];
  for (const [axis, size] of kernel.entries()) {
    const stride = strides?.[axis] ?? 1;
    const own = range(size).map((k) => (k * (dilations?.[axis] ?? 1)) % stride);
    phases = phases.flatMap((outer) => own.map((phase) => outer * stride + phase));
  }
  return phases;
}

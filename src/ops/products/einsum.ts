/**
 * @file Einsum: Einstein's sum over labelled axes. Equation as ONNX opset 12 has it: one letter per axis,
 * `...` for axes that broadcast, and without `->` the labels that occur once, in the alphabet's order.
 */
import { EspalierError } from "../../errors.ts";
import type { Dim, Shape } from "../../ir/graph.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import type { AttributeReader } from "../operator/attributes.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import type { GradientContext, Value } from "../operator/gradient.ts";
import {
  defineOp,
  type InferContext,
  noMoments,
  notFolded,
  type Ties,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { trains } from "../operator/training.ts";

interface Equation {
  /** The label of each axis, by operand; `.` where the broadcast axes stand. */
  readonly terms: readonly (readonly string[])[];
  readonly result: readonly string[];
}

const ellipsis = ".";

/** The labels of one term of an equation, already without blanks. */
function labelsOf(term: string, raw: AttributeReader): readonly string[] {
  const labels = [...term.replace("...", ellipsis)];
  const isRight = labels.every((label) => label === ellipsis || /^[A-Za-z]$/.test(label));
  const isOnce = labels.filter((label) => label === ellipsis).length <= 1;
  return isRight && isOnce ? labels : raw.fail(`the equation holds "${term}"`);
}

function equationOf(raw: AttributeReader): Equation {
  const text = raw.string("equation").replaceAll(/\s/g, "");
  const [left, right, ...rest] = text.split("->");
  if (rest.length > 0) raw.fail(`the equation "${text}" has two arrows`);
  const terms = left.split(",").map((term) => labelsOf(term, raw));
  if (right !== undefined) return { terms, result: labelsOf(right, raw) };
  const all = terms.flat();
  const once = all.filter(
    (label) => label !== ellipsis && all.indexOf(label) === all.lastIndexOf(label),
  );
  return { terms, result: [...(all.includes(ellipsis) ? [ellipsis] : []), ...once.sort()] };
}

/**
 * The equation for operands of these ranks: the broadcast axes become labels of their own, `0` the last.
 * `undefined` where an operand has another rank than its term.
 */
function expanded({ terms, result }: Equation, ranks: readonly number[]): Equation | undefined {
  if (terms.length !== ranks.length) return undefined;
  const broadcast = terms.map((term, i) =>
    term.includes(ellipsis) ? ranks[i] - term.length + 1 : 0,
  );
  const isWrong = terms.some(
    (term, i) => broadcast[i] < 0 || (!term.includes(ellipsis) && term.length !== ranks[i]),
  );
  if (isWrong) return undefined;
  const spread = (term: readonly string[], count: number) =>
    term.flatMap((label) =>
      label === ellipsis ? Array.from({ length: count }, (_, k) => String(count - 1 - k)) : [label],
    );
  return {
    terms: terms.map((term, i) => spread(term, broadcast[i])),
    result: spread(result, Math.max(0, ...broadcast)),
  };
}

/** The size of each label; 1 gives way to any other. */
function sizesOf(context: InferContext<Equation>, { terms }: Equation, shapes: readonly Shape[]) {
  const sizes = new Map<string, Dim>();
  for (const [i, term] of terms.entries())
    for (const [axis, label] of term.entries()) {
      const dim = shapes[i][axis];
      const known = sizes.get(label);
      if (known === undefined || known === 1 || (typeof known === "string" && dim !== 1))
        sizes.set(label, dim);
      else if (typeof dim === "number" && dim !== 1 && typeof known === "number" && dim !== known)
        context.fail(`the label "${label}" has the sizes ${known} and ${dim}`);
    }
  return sizes;
}

export const einsum = defineOp<Equation>({
  opType: "Einsum",
  summary: "the sum of products that `equation` names, label by label",
  attributes: equationOf,

  infer(context) {
    const { dtype } = context.required(0).type;
    const shapes = context.attrs.terms.map((_, i) => context.required(i).type.shape);
    const known = shapes.filter((shape) => shape !== undefined);
    if (context.inputs.length !== shapes.length)
      context.fail(
        `the equation has ${shapes.length} terms, the node ${context.inputs.length} inputs`,
      );
    if (known.length < shapes.length) return [{ dtype, shape: undefined }];
    const equation = expanded(
      context.attrs,
      known.map((shape) => shape.length),
    );
    if (equation === undefined) return context.fail("a term has not the rank of its operand");
    const sizes = sizesOf(context, equation, known);
    const shape = equation.result.map(
      (label) => sizes.get(label) ?? context.fail(`no term has the label "${label}" of the result`),
    );
    return [{ dtype, shape }];
  },

  fold: notFolded,
  ties: tieLabels,
  shrink: { none: "holds no sizes; labels follow the operands" },
  moments: noMoments,
  macs: ({ attrs, inputs }) => productsOf(attrs, inputs),
  gradient: { rule: einsumGradient },
  role: noRole,
  training: trains(0, 1),
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** Axes of one label line up; a label that the result does not have is summed over. */
function tieLabels(t: Ties<Equation>): void {
  const operands = t.attrs.terms.map((_, i) => t.input(i));
  const y = t.output();
  const equation = expanded(
    t.attrs,
    operands.map(({ shape }) => shape.length),
  );
  if (equation === undefined) return;
  const { terms, result } = equation;
  for (const label of new Set(terms.flat())) {
    const axes = terms.flatMap((term, i) =>
      term.flatMap((own, axis) => (own === label ? [{ tensor: operands[i], axis }] : [])),
    );
    const at = result.indexOf(label);
    const size = Math.max(...axes.map(({ tensor, axis }) => tensor.shape[axis]));
    const wide = axes.filter(({ tensor, axis }) => tensor.shape[axis] === size);
    const [first, ...others] = wide;
    const ids = t.ids(first.tensor, first.axis);
    for (const { tensor, axis } of others) t.unite(ids, t.ids(tensor, axis));
    const isDiagonal = terms.some((term) => term.indexOf(label) !== term.lastIndexOf(label));
    if (isDiagonal || result.indexOf(label) !== result.lastIndexOf(label))
      t.fix(ids, "on the diagonal of a sum of products");
    if (at >= 0) t.define(y, at, ids);
    else for (const { tensor, axis } of wide) t.reads(tensor, axis);
    const makesChannels = at >= 0 && axes.length === 1;
    if (makesChannels) t.produces(first.tensor, first.axis);
  }
}

/**
 * The number of multiplications where operands are multiplied one after the other, and each label is summed over as
 * early as possible.
 */
function productsOf(attrs: Equation, shapes: readonly (readonly number[] | undefined)[]): number {
  const known = shapes.filter((shape) => shape !== undefined);
  const equation = expanded(
    attrs,
    known.map((shape) => shape.length),
  );
  if (equation === undefined) return 0;
  const { terms, result } = equation;
  const sizes = new Map<string, number>();
  for (const [i, term] of terms.entries())
    for (const [axis, label] of term.entries())
      sizes.set(label, Math.max(sizes.get(label) ?? 1, known[i][axis]));
  let macs = 0;
  let labels = new Set(terms[0]);
  for (let i = 1; i < terms.length; i++) {
    const together = new Set([...labels, ...terms[i]]);
    const later = new Set([...terms.slice(i + 1).flat(), ...result]);
    labels = new Set([...together].filter((label) => later.has(label)));
    const isSum = labels.size < together.size;
    if (isSum) macs += sizeOf([...together].map((label) => sizes.get(label) ?? 1));
  }
  return macs;
}

/** dXᵢ: the result's gradient takes the place of Xᵢ, and Xᵢ's term that of the result. */
function einsumGradient(context: GradientContext<Equation>): readonly (Value | undefined)[] {
  const { attrs, emit, node, needs } = context;
  const operands = attrs.terms.map((_, i) => context.input(i));
  const equation = expanded(
    attrs,
    operands.map(({ shape }) => shape.length),
  );
  const { terms, result } = equation ?? attrs;
  const sizes = new Map<string, number>();
  for (const [i, term] of terms.entries())
    for (const [axis, label] of term.entries()) {
      const size = operands[i].shape[axis];
      const known = sizes.get(label) ?? size;
      if (term.indexOf(label) !== axis || known !== size)
        throw new EspalierError(
          "MODEL_UNSUPPORTED",
          `Einsum "${node.name}" has a diagonal or broadcasts, for which there is no gradient rule`,
          { data: { node: node.name } },
        );
      sizes.set(label, size);
    }
  const letterOf = lettersFor(sizes.keys());
  const written = (term: readonly string[]) => term.map((label) => letterOf.get(label)).join("");
  return operands.map((operand, i) => {
    if (!needs(i)) return undefined;
    const others = operands.flatMap((value, k) => (k === i ? [] : [{ value, term: terms[k] }]));
    const sources = [{ value: context.gradient(), term: result }, ...others];
    // A label that only Xᵢ has was summed over there alone, so each of its indices gets the same gradient.
    const seen = new Set(sources.flatMap(({ term }) => term));
    const kept = terms[i].filter((label) => seen.has(label));
    const inverse = `${sources.map(({ term }) => written(term)).join(",")}->${written(kept)}`;
    const summed = emit.op(
      "Einsum",
      sources.map(({ value }) => value),
      { equation: inverse },
    );
    const spread = operand.shape.map((size, axis) => (seen.has(terms[i][axis]) ? size : 1));
    return emit.expand(emit.reshape(summed, spread), operand.shape);
  });
}

/** A letter for each label, broadcast axes included. */
function lettersFor(labels: Iterable<string>): ReadonlyMap<string, string> {
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return new Map([...labels].map((label, i) => [label, letters.charAt(i)]));
}

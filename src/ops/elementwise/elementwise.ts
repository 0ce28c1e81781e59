/** @file What elementwise operators share: broadcast shapes, and ties index by index. */
import type { DType } from "../../tensor/dtype.ts";
import type { AttributeReader } from "../operator/attributes.ts";
import {
  type AtZero,
  defineOp,
  followsInputs,
  type GradientFacet,
  type InferContext,
  noMacs,
  type Operator,
} from "../operator/operator.ts";
import { broadcastShapes } from "../operator/shapes.ts";

/** The facets in which elementwise operators differ. */
export interface Elementwise<A> {
  readonly opType: string;
  readonly summary: string;
  readonly attributes: (raw: AttributeReader) => A;
  /** How many inputs there are; "many" is one or more. */
  readonly inputs: number | "many";
  /** Element type of the output; that of the first input where it is not fixed. */
  readonly dtype?: DType | undefined;
  /** Whether it adds up its inputs, as residual streams are made. */
  readonly adds?: boolean | undefined;
  readonly atZero: (attrs: A) => AtZero;
  readonly fold: Operator<A>["fold"];
  readonly moments: Operator<A>["moments"];
  readonly gradient: GradientFacet<A>;
  readonly role: Operator<A>["role"];
  readonly training: Operator<A>["training"];
  readonly constantChannels: Operator<A>["constantChannels"];
  readonly hidesDifferences: boolean;
}

/** An operator whose output at a place depends on the same (broadcast) place of its inputs alone. */
export function defineElementwise<A>(op: Elementwise<A>): Operator {
  return defineOp<A>({
    opType: op.opType,
    summary: op.summary,
    attributes: op.attributes,

    infer(context) {
      const types = operandsOf(context, op.inputs);
      const shapes = types.map(({ shape }) => shape).filter((shape) => shape !== undefined);
      const shape =
        shapes.length < types.length
          ? undefined
          : shapes.length === 1
            ? shapes[0]
            : broadcastShapes(context, shapes);
      return [{ dtype: op.dtype ?? types[0].dtype, shape }];
    },

    fold: op.fold,

    ties(t) {
      const inputs = t.inputs.filter((input) => input !== undefined);
      t.elementwise(t.outputs, inputs, op.atZero(t.attrs));
      if (op.adds && inputs.filter((input) => !input.isParameter).length > 1) t.stream(t.output());
    },

    shrink: followsInputs,
    moments: op.moments,
    macs: noMacs,
    gradient: op.gradient,
    role: op.role,
    training: op.training,
    constantChannels: op.constantChannels,
    hidesDifferences: op.hidesDifferences,
  });
}

function operandsOf<A>(context: InferContext<A>, count: number | "many") {
  const given = context.inputs.length;
  if (count === "many" ? given === 0 : given !== count)
    context.fail(`has ${given} inputs, ${count === "many" ? "at least 1" : count} expected`);
  return context.inputs.map((_, i) => context.required(i).type);
}

/** The `gradient` facet of operators whose output is no number that varies. */
export const stepwise = {
  notDifferentiable: "its output is piecewise constant",
} as const;

/** The `gradient` facet of operators on indices, sizes, bits and truth values. */
export const discrete = {
  notDifferentiable: "it computes with integers or truth values",
} as const;

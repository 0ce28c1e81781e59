/** @file What operators say of their weights, over all that are registered: role, training and gradient agree. */
import { describe, expect, it } from "vitest";
import { newNode } from "../ir/graph.ts";
import { operators } from "./index.ts";
import { noMacs, type Operator } from "./operator/operator.ts";
import { noWeights } from "./operator/training.ts";
import { roleOf } from "./passes/roles.ts";
import { trainedInputs } from "./passes/training.ts";

const nodeOf = ({ opType }: Operator) =>
  newNode("node", opType, ["x", "w", "b", "mean", "variance"], "y");

const named = (some: readonly Operator[]) => some.map((own) => [own.opType, own] as const);

describe("weights of operators", () => {
  const layers = operators.filter((own) =>
    ["linear", "batch-norm"].includes(roleOf(nodeOf(own)).kind),
  );

  it("are found in layers of all kinds", () => {
    expect(layers.map(({ opType }) => opType)).toEqual([
      ...["BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul"],
    ]);
  });

  it.each(named(layers))("that the role of %s names are trained", (_, operator) => {
    const role = roleOf(nodeOf(operator));
    const { weights } = trainedInputs(nodeOf(operator));
    if (role.kind === "linear") {
      expect(weights).toContain(role.weightInput);
      if (role.biasInput !== undefined) expect(weights).toContain(role.biasInput);
    } else if (role.kind === "batch-norm") {
      expect(weights).toEqual(expect.arrayContaining([role.scaleInput, role.biasInput]));
    } else expect.unreachable(`${role.kind} is no layer`);
  });

  // A product has a factor that may be a weight: "no weights" is no answer there.
  it.each(named(operators.filter(({ macs }) => macs !== noMacs)))(
    "of %s, which multiplies, are trained, or it says why not",
    (_, { training }) => {
      expect(training).not.toBe(noWeights);
      if ("weights" in training) expect(training.weights).not.toEqual([]);
    },
  );

  it.each(named(operators.filter(({ training }) => "weights" in training)))(
    "of %s that are trained are reached by its gradient",
    (_, operator) => {
      const { weights, affine } = trainedInputs(nodeOf(operator));
      if (weights.length + affine.length > 0) expect(operator.gradient).toHaveProperty("rule");
    },
  );

  it.each(named(operators))("of %s: facets that do not apply say why", (_, operator) => {
    for (const facet of [operator.role, operator.training, operator.constantChannels])
      if ("none" in facet) expect(facet.none).toMatch(/\w+ \w+/);
  });
});

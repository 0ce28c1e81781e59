/**
 * @file λ, the weight of the gates' divergence in the loss, which acts as a threshold.
 *
 * With F_c = E[(∂ loss / ∂θ_c)²] per example at θ = 1, for labels that the network draws itself, the
 * likelihood of N examples is, near θ = 1, a normal of precision N F_c; a gate then has k = N F_c / (λ A_c)
 * of `gate-posterior.ts` and lives for k > 1. So λ is the squared number of standard errors by which a
 * factor has to differ from 0.
 */
import { algebraOf } from "../../ops/operator/algebra.ts";
import { savingOfKind } from "../../structure/choice/per-saving.ts";
import { candidateUnits, selectUnits } from "../../structure/choice/select.ts";
import { costModel } from "../../structure/cost/cost.ts";
import type { Structure } from "../../structure/units/units.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { outputsRead, trainPlanOf } from "../../train/loop/options.ts";
import { labels, type Objective } from "../../train/step/objectives.ts";
import type { LearningContext } from "../method/learned-method.ts";
import type { Gate } from "./filter-gates-sites.ts";
import { taylorScores } from "./gate-taylor.ts";

/** A λ, and its origin as a clause for users. */
export interface Lambda {
  readonly value: number;
  readonly reason: string;
}

/** Bayes' rule: with a smaller λ, gates stay open for which the data give no evidence. */
const least = 1;

/**
 * The λ for a run: ln N, the penalty that the Bayesian information criterion puts on a parameter. Where the round has
 * budgets that a smaller λ meets, it is the λ under which, by the gates' Fisher information, just enough units die, but
 * at least 1: for a network that is sure of all its images the information is next to nothing (a ResNet-20 on images
 * that it was trained on asked for 2e-10, and no gate moved).
 *
 * A larger λ does not help where a target asks for units that the data need: it pulls all gates towards 0, and the
 * network is wrecked before any unit is removed. (A LeNet-5 on its way to 6 % of its multiply-accumulates would need up
 * to λ = 60,000, and ended with 97.7 % accuracy on `select`; with 10 it keeps 99.1 %.) The losses rank these units well
 * enough.
 *
 * @param shares A_c of the units of each gate.
 */
export async function chooseLambda(
  context: LearningContext,
  gates: readonly Gate[],
  shares: ReadonlyMap<Gate, Float64Array>,
  images: number,
): Promise<Lambda> {
  const { structure, dataset, training, budgets = [], rules } = context;
  const { samples } = trainPlanOf(dataset, { ...training, epochs: 1 });
  const most = Math.log(Math.max(2, samples));
  if (budgets.length > 0) {
    const evidence = await evidenceOf(context, gates, shares, images);
    const { removed } = selectUnits(structure, evidence, budgets, rules);
    const last = evidence.reduce(
      (most, value, unit) =>
        removed[unit] === 1 && Number.isFinite(value) ? Math.max(most, value) : most,
      0,
    );
    if (last > 0 && last < most)
      return last < least
        ? { value: least, reason: "Bayes' rule, because the target asks for a smaller one" }
        : { value: last, reason: "from the gates' Fisher information and the target" };
  }
  return { value: most, reason: "ln N" };
}

/** N F_c / A_c of every unit: the λ at which its gate begins to close. Infinite without a gate. */
export async function evidenceOf(
  { structure, dataset, training, seed }: LearningContext,
  gates: readonly Gate[],
  shares: ReadonlyMap<Gate, Float64Array>,
  images: number,
): Promise<Float64Array> {
  const { samples } = trainPlanOf(dataset, { ...training, epochs: 1 });
  const { graph } = structure.analysis;
  // An objective of the caller's own need not be the likelihood of any labels.
  const objective = training.objective ?? ownLabels(seed);
  const fisher = await taylorScores(graph, gates, dataset, {
    training: { ...training, objective },
    images,
    seed,
  });
  const [output] = outputsRead(graph, dataset, training.output);
  const positions = positionsOf(structure, output);
  const evidence = new Float64Array(structure.units.length).fill(Number.POSITIVE_INFINITY);
  for (const gate of gates)
    for (const [i, unit] of gate.units.entries()) {
      const share = shares.get(gate)?.[i] ?? 0;
      // The mean loss over P positions counts them as one, in the gradient and so twice in its square.
      const precision = samples * positions ** 2 * (fisher.get(gate)?.[i] ?? 0);
      if (share > 0) evidence[unit] = precision / share;
    }
  return evidence;
}

/** Cross-entropy with labels that the network draws from what it predicts. */
function ownLabels(seed: number): Objective {
  return (context) => {
    const { emit, prediction, form } = context;
    const t = algebraOf(emit, prediction);
    const own = { kind: "float", value: randomOf(seed, "labels").integer(2 ** 24) } as const;
    const normal = emit.op("RandomNormalLike", [prediction], { seed: own });
    const raw = t.mul(t.add(t.apply("Erf", t.mul(normal, Math.SQRT1_2)), 1), 0.5);
    const uniform = t.min(t.max(raw, 1e-6), 1 - 1e-6);
    const [batch, classes, ...positions] = prediction.shape;
    if (classes === 1) {
      const chance = form === "logits" ? t.apply("Sigmoid", prediction) : prediction;
      const drawn = emit.op("Less", [uniform, chance]);
      const target = emit.reshape(t.cast(drawn), [batch, ...positions]);
      return labels()({ ...context, target });
    }
    // The largest of ln p + Gumbel noise is a draw from p.
    const scores = form === "logits" ? prediction : t.apply("Log", t.max(prediction, 1e-12));
    const gumbel = t.neg(t.apply("Log", t.neg(t.apply("Log", uniform))));
    const target = emit.op("ArgMax", [t.add(scores, gumbel)], { axis: 1, keepdims: 0 });
    return labels()({ ...context, target });
  };
}

/** Positions of one example in an output: pixels of a map, 1 for a class. */
function positionsOf({ analysis: { inference } }: Structure, output: string): number {
  const shape = inference.types.get(output)?.shape ?? [];
  return sizeOf(shape.slice(2).map((size) => (typeof size === "number" ? size : 1)));
}

/**
 * A_c of the units of each gate: 1, or with `flops` the MACs that the unit alone saves, divided by the mean of all. 0
 * for units that must stay.
 */
export function unitShares(
  { structure, rules }: Pick<LearningContext, "structure" | "rules">,
  gates: readonly Gate[],
  weight: "none" | "flops",
): ReadonlyMap<Gate, Float64Array> {
  const candidates = new Set(candidateUnits(structure, rules));
  const macsOf = weight === "flops" ? unitMacs(structure) : () => 1;
  const raw = gates.map((gate) =>
    Float64Array.from(gate.units, (unit) => (candidates.has(unit) ? macsOf(unit) : 0)),
  );
  const all = raw.flatMap((values) => [...values]).filter((value) => value > 0);
  const mean = all.reduce((sum, value) => sum + value / all.length, 0);
  return new Map(gates.map((gate, i) => [gate, raw[i].map((value) => value / (mean || 1))]));
}

/** The MACs that the removal of a unit saves. */
function unitMacs(structure: Structure): (unit: number) => number {
  const cost = costModel(structure);
  return savingOfKind(structure, (removed) => cost(removed).macs);
}

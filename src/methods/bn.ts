/**
 * @file Method `bn`: batch normalization tells which filters matter, without data.
 *
 * After the idea of Oh, Kim, Baik, Hong and Lee, "Batch Normalization Tells You Which Filter is Important" (WACV 2022):
 * a layer's batch normalization makes its outputs N(β, γ²) per channel, and from that follow the statistics of
 * activations. The derivation is ours; the paper's exact criterion was not at hand, so its plausible forms are modes:
 *
 * - `mean`, `rms`, `std`: |E y|, √E y², √Var y of what the unit's readers see, over the layer's mean;
 * - `next`: the expected square of the change in what the readers compute, after compensation, more where the
 *   network's answers hang on it most and less where they hardly do (`removal-order.ts`, `output-shares.ts`).
 *
 * The readers' parameters compensate for removed channels (`compensation.ts`). Defaults, and the constants of the
 * model, were chosen by the accuracy of two CIFAR-10 residual networks on the first 5,000 test images
 * (`bench/bn-table.ts`), and by an ESPNet's agreement with its original on CamVid.
 */
import { EspalierError } from "../errors.ts";
import type { Moments } from "../ops/operator/operator.ts";
import { roleOf } from "../ops/passes/roles.ts";
import { savingOfKind } from "../structure/choice/per-saving.ts";
import { candidateUnits } from "../structure/choice/select.ts";
import type { SelectionRules } from "../structure/choice/selection-rules.ts";
import { costModel } from "../structure/cost/cost.ts";
import type { Structure } from "../structure/units/units.ts";
import { hypot } from "../tensor/elementary.ts";
import { type StepProgress, type Steps, within } from "../tensor/steps.ts";
import { type Source, sourcesOf, withDeviations } from "./compensation/channel-model.ts";
import { compensate } from "./compensation/compensation.ts";
import { correlationSteps, uncorrelated } from "./compensation/correlations.ts";
import { outputShares } from "./compensation/output-shares.ts";
import { type OtherRead, otherReadsOf, type Reader, readersOf } from "./compensation/readers.ts";
import { damageModel, removalSteps } from "./compensation/removal-order.ts";
import { momentsOf } from "./compensation/statistics.ts";
import { defineMethod, type MethodContext, unscoredNotes } from "./method/method.ts";
import { advanced, choice, toggle } from "./method/options.ts";

const options = {
  mode: choice(
    ["next", "mean", "rms", "std"],
    "next",
    "The score of a channel: the damage that its removal does to the layers that read it (next), or the mean, root mean square or standard deviation of its activation.",
  ),
  compensate: toggle(
    true,
    "Compensates for removed channels by their expected value in the layers that read them; off changes no parameter.",
  ),
  borders: advanced(
    toggle(
      true,
      "Takes into account how often each position of a kernel falls into the zero padding.",
    ),
  ),
  correlations: advanced(
    toggle(
      true,
      "Lets kept channels take over for removed ones, as far as the weights make them correlated.",
    ),
  ),
  variance: advanced(
    toggle(
      true,
      "Corrects the running variance of the batch normalization behind layers that lose channels.",
    ),
  ),
  reestimate: advanced(
    toggle(
      true,
      "Computes the scores again after every removal, in the mode next with correlations.",
    ),
  ),
};

export const bn = defineMethod({
  name: "bn",
  summary: "removes the channels that the next layers miss least, as batch normalization tells",
  source:
    "after the idea of Oh, Kim, Baik, Hong, Lee: Batch Normalization Tells You Which Filter is " +
    "Important, WACV 2022; derivation ours",
  needs: { batchNorm: true, data: false },
  options,

  requireScorable({ structure, rules }) {
    requireBatchNorm(structure);
    requireKnown({ structure, rules }, unknownOf(structure, momentsOf(structure.analysis)));
  },

  *propose(context) {
    const { structure } = context;
    const { graph } = structure.analysis;
    requireBatchNorm(structure);
    const { mode, compensate: isCompensated, borders, ...asked } = context.options;
    const readers = readersOf(structure).map((reader) =>
      borders ? reader : { ...reader, shares: reader.shares.map(() => 1) },
    );
    const others = otherReadsOf(structure, readers);
    const moments = momentsOf(structure.analysis);
    const correlations =
      isCompensated && asked.correlations
        ? yield* within(stepOf("correlations"), correlationSteps(structure, readers, moments))
        : uncorrelated;
    yield stepOf("variances");
    const sources = sourcesOf(readers, moments, correlations);
    const unknown = unknownUnits(structure, [...readers, ...others], moments);
    requireKnown(context, unknown);
    const evidence = {
      readers,
      sources: isCompensated ? sources : sources.map(asPowers),
      others,
      moments,
      unknown,
      isSequential: asked.reestimate,
    };
    const scores =
      mode === "next"
        ? yield* damageScores(context, evidence)
        : activationScores(mode, context, evidence);
    // A channel whose features layers select is removed with the last of these features.
    for (const unit of structure.carriers) scores[unit] = Number.MAX_VALUE;
    for (const unit of unknown) scores[unit] = Number.POSITIVE_INFINITY;
    return {
      scores,
      edits: (removed) =>
        isCompensated ? compensate(graph, sources, removed, { variance: asked.variance }) : [],
      notes: unscoredNotes(context, scores, "batch normalization tells nothing about them"),
    };
  },
});

/**
 * The share of prunable units that batch normalization has statistics for, weighted by the multiply-accumulates that
 * each unit alone saves. 0 where no unit may be removed.
 */
export function knownShare(structure: Structure, rules: SelectionRules): number {
  const unknown = unknownOf(structure, momentsOf(structure.analysis));
  const cost = costModel(structure);
  const savingOf = savingOfKind(structure, (removed) => cost(removed).macs);
  let [known, all] = [0, 0];
  for (const unit of candidateUnits(structure, rules)) {
    const saving = savingOf(unit);
    all += saving;
    if (!unknown.has(unit)) known += saving;
  }
  return all > 0 && hasBatchNorm(structure) ? known / all : 0;
}

/** The inputs of scoring. */
interface Evidence {
  readonly readers: readonly Reader[];
  readonly sources: readonly Source[];
  readonly others: readonly OtherRead[];
  readonly moments: ReadonlyMap<string, Moments>;
  readonly unknown: ReadonlySet<number>;
  readonly isSequential: boolean;
}

/** The steps of scoring. */
const steps = ["correlations", "variances", "damage", "order"] as const;

function stepOf(step: (typeof steps)[number]): StepProgress {
  return { step, done: steps.indexOf(step), total: steps.length };
}

/** The scores of the mode `next`: the position in the order of least damage, or the damage itself. */
function* damageScores(
  { structure, rules }: MethodContext,
  evidence: Evidence,
): Steps<Float64Array> {
  const count = structure.units.length;
  const { readers, sources, others, moments, unknown, isSequential } = evidence;
  yield stepOf("damage");
  const model = damageModel(count, sources, others, outputShares(structure, readers, moments));
  if (!isSequential)
    return Float64Array.from(structure.units, ({ index }) => model.damageOf(index));
  const without = new Set([...unknown, ...structure.carriers]);
  const candidates = candidateUnits(structure, rules).filter((unit) => !without.has(unit));
  return yield* within(stepOf("order"), removalSteps(model, count, candidates));
}

/**
 * The scores of the modes `mean`, `rms` and `std`: the statistic of each channel that is read, over the layer's mean.
 */
function activationScores(
  mode: "mean" | "rms" | "std",
  { structure }: MethodContext,
  { sources, others, moments }: Evidence,
): Float64Array {
  const sums = new Float64Array(structure.units.length);
  const counts = new Float64Array(structure.units.length);
  const reads = [
    ...sources.map(({ name, units }) => ({ name, units })),
    ...others.map(({ source, sourceUnits }) => ({ name: source, units: sourceUnits })),
  ];
  for (const { name, units } of reads) {
    const known = moments.get(name);
    if (known?.mean.length !== units.length) continue;
    const values = known.mean.map((m, c) => {
      if (mode === "mean") return Math.abs(m);
      return Math.sqrt(known.variance[c] + (mode === "rms" ? m * m : 0));
    });
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length || 1;
    for (const [channel, unit] of units.entries()) {
      if (unit < 0) continue;
      sums[unit] += values[channel] / mean;
      counts[unit]++;
    }
  }
  return sums.map((sum, unit) => (counts[unit] > 0 ? sum / counts[unit] : Infinity));
}

/**
 * The statistic of the modes without compensation: the mean of the channel is lost as well, so its root mean square
 * counts.
 */
function asPowers(source: Source): Source {
  return withDeviations(
    source,
    source.deviation.map((s, c) => hypot(s, source.mean[c])),
  );
}

function unknownOf(
  structure: Structure,
  moments: ReadonlyMap<string, Moments>,
): ReadonlySet<number> {
  const readers = readersOf(structure);
  return unknownUnits(structure, [...readers, ...otherReadsOf(structure, readers)], moments);
}

/** Units with a reader for whose input no statistics are known, and the statistics that these readers need. */
function unknownUnits(
  { units }: Structure,
  reads: readonly Pick<Reader, "source" | "sourceUnits" | "axis">[],
  moments: ReadonlyMap<string, Moments>,
): ReadonlySet<number> {
  const unknown = new Set<number>();
  for (const { source, sourceUnits, axis } of reads) {
    const isKnown = axis === 1 && moments.get(source)?.mean.length === sourceUnits.length;
    if (isKnown) continue;
    for (const unit of sourceUnits)
      if (unit >= 0 && units[unit].reason === undefined) unknown.add(unit);
  }
  for (const unit of unknown) for (const needed of units[unit].needs) unknown.add(needed);
  return unknown;
}

/**
 * Fails with `METHOD_NEEDS_BN` where units might be removed, but batch normalization has statistics for none of them.
 */
function requireKnown(
  { structure, rules }: Pick<MethodContext, "structure" | "rules">,
  unknown: ReadonlySet<number>,
): void {
  const candidates = candidateUnits(structure, rules);
  if (candidates.length === 0 || candidates.some((unit) => !unknown.has(unit))) return;
  throw needsBatchNorm(
    "and this network's tells nothing of any channel that may go: between it and their readers lies " +
      "something through which statistics are not followed, or it was kept in other layers only",
  );
}

function hasBatchNorm({ analysis: { graph } }: Structure): boolean {
  return graph.nodes.some((node) => roleOf(node).kind === "batch-norm");
}

function requireBatchNorm(structure: Structure): void {
  if (hasBatchNorm(structure)) return;
  throw needsBatchNorm(
    "and this network has none: it was folded into the layers before it, or was never there",
  );
}

function needsBatchNorm(why: string): EspalierError {
  return new EspalierError("METHOD_NEEDS_BN", `The method bn reads batch normalization, ${why}.`, {
    hint:
      "Export with batch normalization kept: in PyTorch torch.onnx.export(model.eval(), ..., " +
      "training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False); with tf2onnx, do " +
      "not freeze or optimise the graph first. Without it, use the method magnitude, fpgm or random.",
    data: { method: "bn", alternatives: ["magnitude", "fpgm", "random"] },
  });
}

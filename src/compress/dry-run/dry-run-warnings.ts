/** @file Warnings about a planned compression. */
import type { LabelKind } from "../../data/table.ts";
import { isFew, samplesToSee } from "../../guard/guard.ts";
import { metricWords } from "../../words/metrics.ts";
import { counted, formatInteger, inPercent, inShortPoints } from "../../words/numbers.ts";
import type { CompressionPlan } from "./compression-plan.ts";

/** The facts that the plan itself does not hold. */
export interface PlanFacts {
  /** The network was trained by `train`, which cuts roles as this run does. */
  readonly isOurs: boolean;
  /** Something of what the method judges may go. */
  readonly canShrink: boolean;
  /** Unknown figures and operators of the network, one sentence each. */
  readonly unknowns: readonly string[];
  /** The labels: those of the user, or the answers of the original. */
  readonly judgedBy: LabelKind;
}

/** One sentence each. */
export function warningsFor(
  plan: Omit<CompressionPlan, "warnings">,
  { isOurs, canShrink, unknowns, judgedBy }: PlanFacts,
): string[] {
  const { name } = metricWords(judgedBy === "outputs" ? "similarity" : "agreement");
  return [
    ...unknowns,
    ...ofNetwork(plan, canShrink),
    ...ofData(plan, isOurs, name),
    ...ofGuard(plan),
  ];
}

function ofNetwork(
  { network, settings }: Omit<CompressionPlan, "warnings">,
  canShrink: boolean,
): string[] {
  if (!canShrink) return ["Nothing may go: all channels must stay."];
  const least = new Map(Object.entries(network.least));
  return Object.entries(settings.targets).flatMap(([name, target]) => {
    const share = least.get(name);
    if (target === undefined || share === undefined || share <= target) return [];
    return [
      `The target \`${name}\` ${target} is out of reach: ${share.toFixed(3)} is the least that may remain.`,
    ];
  });
}

function ofData(
  { data }: Omit<CompressionPlan, "warnings">,
  isOurs: boolean,
  metric: string,
): string[] {
  const { samples, labelKind, isHeldOut } = data;
  return [
    ...(labelKind === "none"
      ? [`There are no labels: the metric is ${metric}, which also teaches.`]
      : []),
    ...(samples.test === 0 ? ["No images serve as `test`: the result has no final figures."] : []),
    ...(isHeldOut || isOurs || labelKind === "none"
      ? []
      : [
          "If the network was trained on these train files elsewhere, give `heldOut`: a tolerance " +
            "says nothing on images that the network has seen.",
        ]),
  ];
}

function ofGuard({ guard }: Omit<CompressionPlan, "warnings">): string[] {
  if (guard === null) return [];
  if (guard.samples === 0)
    return ["No images serve as `certify`: the drop cannot be certified, and the exit code is 3."];
  if (guard.maxDrop === 0)
    return ["A drop of at most 0 is certified only where the result is clearly better."];
  if (guard.outlooks.length === 0)
    return isFew(guard, guard.maxDrop)
      ? [
          `${counted(guard.samples, "image serves", "images serve")} as \`certify\`, which is few: a kind of image ` +
            `that makes up as much as ${inPercent(guard.largestUnseen)} of all may be missing among them. ` +
            `It takes ${formatInteger(samplesToSee(guard.maxDrop, guard.level))} to show every kind that makes up ` +
            `${inShortPoints(guard.maxDrop)} % or more.`,
        ]
      : [];
  const [mildest] = guard.outlooks;
  if (mildest.isEnough) return [];
  return [
    `Too few images serve as \`certify\`: ${guard.samples}, and even where only ` +
      `${inShortPoints(mildest.discordance)} % of the answers change it takes ` +
      `${mildest.samplesNeeded} to certify ${inShortPoints(guard.maxDrop)} points. ` +
      `${inShortPoints(mildest.smallestTolerance)} points could be.`,
  ];
}

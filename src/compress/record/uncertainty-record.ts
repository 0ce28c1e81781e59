/** @file Whether networks know how sure they may be, as it stands in a report. */
import { z } from "zod";
import type { Uncertainty, UncertaintyChange } from "../../measure/evaluation/uncertainty.ts";
import { uncertaintyChange, uncertaintyOf } from "../../measure/outcomes/outcome-uncertainty.ts";
import type { Outcomes } from "../../measure/outcomes/outcomes.ts";
import type { Estimate } from "../../measure/statistics/statistics.ts";

const estimate = z.object({ value: z.number(), ci95: z.tuple([z.number(), z.number()]) });
const shared = {
  /** Accuracy, or mean IoU. */
  value: estimate,
  /** Negative log-likelihood in nats, Brier score in [0, 2] and calibration error, of a sample or pixel. */
  nll: estimate,
  brier: estimate,
  ece: estimate,
};
const figures = z.object({
  ...shared,
  /** A classifier's accuracy on the samples that it is surest of, and the area under its risk-coverage curve. */
  selective: z
    .object({
      coverage: z.array(z.object({ share: z.number(), accuracy: estimate })),
      riskArea: estimate,
    })
    .optional(),
});
const change = z.object({ ...shared, riskArea: estimate.optional() });

/** On `test`, with intervals over images; changes are paired. */
export const uncertaintyRecord = z.object({
  before: figures,
  after: figures,
  /** After minus before. */
  change,
  /** The mean of several draws from the posterior, where the method has one. */
  posterior: z
    .object({
      draws: z.number(),
      figures,
      /** Minus `after`, the network of the means. */
      change,
    })
    .nullable(),
});

/** What a report says of uncertainty. */
export type UncertaintyRecord = z.output<typeof uncertaintyRecord>;

/** What the networks did on `test`, and what draws from a posterior did. */
export interface UncertaintySides {
  readonly before: Outcomes | undefined;
  readonly after: Outcomes | undefined;
  readonly posterior?: { readonly draws: number; readonly outcomes: Outcomes } | undefined;
}

/** The record of these outcomes; null where they do not tell, or the original itself said what is right. */
export function uncertaintyRecordOf(
  { before, after, posterior }: UncertaintySides,
  hasLabels: boolean,
): UncertaintyRecord | null {
  if (!hasLabels || before === undefined || after === undefined) return null;
  const [first, second] = [figuresOf(before), figuresOf(after)];
  const between = changeOf(before, after);
  if (!first || !second || !between) return null;
  const common = { before: first, after: second, change: between };
  if (posterior === undefined) return { ...common, posterior: null };
  const { draws, outcomes } = posterior;
  const [own, away] = [figuresOf(outcomes), changeOf(after, outcomes)];
  return { ...common, posterior: own && away ? { draws, figures: own, change: away } : null };
}

function figuresOf(outcomes: Outcomes): z.output<typeof figures> | undefined {
  const found: Uncertainty | undefined = uncertaintyOf(outcomes);
  if (found === undefined) return undefined;
  const { selective } = found;
  return {
    ...sharedOf(found),
    ...(selective && {
      selective: {
        riskArea: written(selective.riskArea),
        coverage: selective.coverage.map(({ share, accuracy }) => ({
          share,
          accuracy: written(accuracy),
        })),
      },
    }),
  };
}

function changeOf(first: Outcomes, second: Outcomes): z.output<typeof change> | undefined {
  const found: UncertaintyChange | undefined = uncertaintyChange(first, second);
  if (found === undefined) return undefined;
  const { riskArea } = found;
  return { ...sharedOf(found), ...(riskArea && { riskArea: written(riskArea) }) };
}

function sharedOf({ value, nll, brier, ece }: Omit<Uncertainty, "selective">) {
  return { value: written(value), nll: written(nll), brier: written(brier), ece: written(ece) };
}

function written({ value, ci95 }: Estimate): z.output<typeof estimate> {
  return { value, ci95: [ci95[0], ci95[1]] };
}

/**
 * @file How sure networks may be of their outcomes, and what changes from one to another. What other figures
 * of a report say, too, the metric and its drop, has the same interval here as there.
 */
import { EspalierError } from "../../errors.ts";
import {
  classFigures,
  classUncertainty,
  estimatesOf,
  mapFigures,
  mapUncertainty,
  namedFigures,
  namedOf,
  type SampleFigures,
  type Uncertainty,
  type UncertaintyChange,
} from "../evaluation/uncertainty.ts";
import { type Outcomes, pairedDrop } from "./outcomes.ts";

/** How sure a network may be; `undefined` where outcomes do not tell: of values, and of files of earlier versions. */
export function uncertaintyOf(outcomes: Outcomes, seed = 0): Uncertainty | undefined {
  switch (outcomes.kind) {
    case "classes": {
      const { briers, ...rest } = outcomes.predictions;
      return briers && classUncertainty({ ...rest, briers }, seed);
    }
    case "maps": {
      const { briers, gaps, ...rest } = outcomes;
      return briers && gaps && mapUncertainty({ ...rest, briers, gaps }, seed);
    }
    case "outputs":
    case "values":
      return undefined;
    default:
      return outcomes satisfies never;
  }
}

/**
 * The second minus the first, each with its paired bootstrap interval: a resample takes the same samples
 * of both. The change of the metric itself is the drop with its sign turned, and has the interval of
 * {@link pairedDrop}. `undefined` where outcomes do not tell.
 * Fails with `DATA_MISMATCH` where they are not of the same samples.
 */
export function uncertaintyChange(
  first: Outcomes,
  second: Outcomes,
  seed = 0,
): UncertaintyChange | undefined {
  const [before, after] = [first, second].map(outcomeFigures);
  if (before === undefined || after === undefined) return undefined;
  if (before.width !== after.width || !isSame(indicesOf(first), indicesOf(second)))
    throw new EspalierError("DATA_MISMATCH", "the two evaluations read different samples", {
      hint: "Evaluate both networks with the same data, split, seed and limit.",
    });
  const { samples, width } = before;
  const difference = (indices: Int32Array) => {
    const own = after.figuresAt(indices);
    return before.figuresAt(indices).map((value, i) => own[i] - value);
  };
  const estimates = estimatesOf({ samples, width, figuresAt: difference }, seed);
  const isSelective = width > namedFigures.length;
  const { drop, ci95 } = pairedDrop(first, second, { level: 0.025, seed });
  return {
    ...namedOf(estimates),
    value: { value: -drop || 0, ci95: [-ci95[1] || 0, -ci95[0] || 0] },
    ...(isSelective && { riskArea: estimates[width - 1] }),
  };
}

function outcomeFigures(outcomes: Outcomes): SampleFigures | undefined {
  if (outcomes.kind === "values" || outcomes.kind === "outputs") return undefined;
  if (outcomes.kind === "classes") {
    const { briers, ...rest } = outcomes.predictions;
    return briers && classFigures({ ...rest, briers });
  }
  const { briers, gaps, ...rest } = outcomes;
  return briers && gaps && mapFigures({ ...rest, briers, gaps });
}

function indicesOf(outcomes: Outcomes): Int32Array {
  return outcomes.kind === "classes" ? outcomes.predictions.indices : outcomes.indices;
}

function isSame(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

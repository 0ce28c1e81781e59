/** @file Whether a network knows its validation samples by heart. */
import type { Dataset } from "../../data/dataset.ts";
import { inPercent } from "../../words/numbers.ts";
import type { TrainedNetwork } from "../network/network.ts";
import type { Evaluator } from "./options.ts";

/** Samples of each role that are looked at. */
const looks = 2000;

/**
 * A warning where the network, before any training, is more than 2 points better on `select` than on
 * `certify`, and more than chance explains (two standard errors): it has probably been trained on the
 * samples that are to tell how good it is.
 */
export async function memorisationWarning(
  network: TrainedNetwork,
  dataset: Dataset,
  evaluator: Evaluator,
): Promise<string | undefined> {
  const [select, certify] = [dataset.size("select"), dataset.size("certify")];
  if (dataset.labelKind !== "classes" || select === 0 || certify === 0) return undefined;
  const a = (await evaluator(network, "select", looks)).value;
  const b = (await evaluator(network, "certify", looks)).value;
  const variance = (p: number, count: number) => (p * (1 - p)) / Math.min(count, looks);
  const error = Math.sqrt(variance(a, select) + variance(b, certify));
  if (a - b <= Math.max(0.02, 2 * error)) return undefined;
  return (
    `The network is right on ${inPercent(a)} of the samples for selection but ${inPercent(b)} of ` +
    "those for certification: it may have been trained on the former. Give held-out data."
  );
}

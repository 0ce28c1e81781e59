/**
 * @file Fine-tuning under quantisation: the network is trained with its weights as a pack would hold them,
 * at steps or places that stay, and after each epoch it is the unpacked network that is scored.
 */

import type { Dataset } from "../../data/dataset.ts";
import type { Role } from "../../data/splits.ts";
import { EspalierError } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Model } from "../../onnx/model.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { concatBytes, writeModel } from "../../onnx/writing/write.ts";
import { codesOf, quantised } from "../../pack/pack.ts";
import type { Codebook } from "../../pack/quantising/codebook.ts";
import type { PackOptions } from "../../pack/quantising/contents.ts";
import { sessionOptionsOf } from "../../runtime/session.ts";
import { graphOf } from "../network/network.ts";
import { frozen } from "../network/parameters.ts";
import { withCodebooks } from "../step/codebook-form.ts";
import { evaluatorOf } from "./evaluation.ts";
import { objectiveFor, type TrainOptions, type TrainResult } from "./options.ts";
import { train } from "./train.ts";

const worseWarning =
  "Tuning made the rounded network worse on `select` in every epoch, so it is packed as it was. " +
  "A lower learning rate may help.";

/** What came of tuning. `pack(model, options)` is the network that was trained. */
export interface TunedQuantised {
  /**
   * The best on `select`, the start among them, with unrounded weights where they are trained so: to be packed,
   * or tuned on.
   */
  readonly model: Model;
  /** The steps, or the codebook, under which it was trained. */
  readonly options: PackOptions;
  readonly training: Pick<TrainResult, "history" | "steps" | "warnings" | "seconds" | "end">;
}

/**
 * Tunes a network under the quantisation of `options`. Steps are found once, for the network as it is given,
 * and rounding is passed straight through (`straight-through.ts`); with `codebook` the places stay and
 * the entries are trained (`codebook-form.ts`). Weights that are 0 stay 0. Biases, scales and statistics
 * are shortened when they are packed, and scored so.
 *
 * Fails as `train` and `pack`, and with `USAGE` where options leave nothing to be tuned under.
 */
export async function tuneQuantised(
  model: Model,
  dataset: Dataset,
  options: PackOptions,
  training: TrainOptions,
): Promise<TunedQuantised> {
  requireTunable(options);
  const { steps, codebooks } = quantisationOf(model, options);
  const form = withCodebooks(model.graph, codebooks);
  const source = codebooks.size === 0 ? model : form.graph;
  const packOptions = { ...options, steps };
  const read = (graph: Graph): Model => readModel(concatBytes(writeModel(model, form.undo(graph))));

  const { batchSize = 64, output, teacher } = training;
  const objective = objectiveFor(dataset, training);
  const session = sessionOptionsOf(training);
  const evaluator =
    training.evaluator ??
    evaluatorOf(dataset, { ...session, objective, batchSize, output, teacher });
  /** What a network is worth as the pack would give it back. */
  const scoreOf = (graph: Graph, role: Role, limit?: number) => {
    const bytes = quantised(read(graph), packOptions);
    const chunks = { chunks: [bytes], byteLength: bytes.length, external: undefined };
    return evaluator({ graph: readModel(bytes).graph, bytes: chunks }, role, limit);
  };
  const start =
    dataset.size("select") === 0
      ? undefined
      : await scoreOf(graphOf(source), "select", training.selectLimit);
  const {
    best,
    history,
    steps: taken,
    warnings,
    seconds,
    end,
  } = await train(source, dataset, {
    ...training,
    keepsZeros: true,
    weightSteps: steps,
    groups: [...frozen(form.fixed), ...(training.groups ?? [])],
    evaluator: ({ graph }, role, limit) => scoreOf(graph, role, limit),
  });
  const isWorse = start !== undefined && best.score !== undefined && best.score.value < start.value;
  if (isWorse) training.onWarning?.(worseWarning);
  return {
    model: read(isWorse ? graphOf(source) : best.graph),
    options: packOptions,
    training: {
      history,
      steps: taken,
      seconds,
      end,
      warnings: isWorse ? [...warnings, worseWarning] : warnings,
    },
  };
}

/** What a pack rounds weights by, by their names: a step, or a codebook whose places stay. */
function quantisationOf(model: Model, options: PackOptions) {
  const steps = new Map<string, number>();
  const codebooks = new Map<string, Codebook>();
  for (const [name, content] of codesOf(model, options))
    if (content.kind === "steps") steps.set(name, content.step);
    else codebooks.set(name, content);
  return { steps, codebooks };
}

/** Fails with `USAGE` where options leave nothing to be tuned under. */
export function requireTunable({ isLossless, lambda = 0, hasRowSteps = false }: PackOptions): void {
  const usage = (message: string, hint: string) => new EspalierError("USAGE", message, { hint });
  if (isLossless)
    throw usage("a lossless pack leaves nothing to be tuned", "Leave out isLossless.");
  if (lambda > 0 || hasRowSteps)
    throw usage(
      "tuning is for the nearest codes of one step per weight",
      "Leave out lambda and the steps of rows.",
    );
}

/** @file A training step in its sessions: one for the whole batch, or one for the share of each replica. */
import { availableParallelism } from "node:os";
import type { BlockSize } from "../../ops/passes/blocked.ts";
import { openReplicas } from "../../runtime/replicas.ts";
import { sessionOptionsOf } from "../../runtime/session.ts";
import { openTrainer, type Trainer } from "../../runtime/trainer.ts";
import type { Feeds } from "../../runtime/values.ts";
import { emitFor, emitStep } from "../network/provider-form.ts";
import { replicaStep, sharesOf } from "../step/replica-step.ts";
import type { TrainingStep } from "../step/step.ts";
import type { TrainPlan } from "./options.ts";

/** What of a plan sessions depend on. */
type SharedWork = Pick<TrainPlan, "batchSize" | "replicas" | "threads" | "providers" | "signal">;

/** What a step is opened with. */
export interface OpenStepOptions {
  readonly plan: SharedWork;
  /** The layout of convolutions: see `findBlockSize`. */
  readonly block: BlockSize | undefined;
  readonly state: Feeds;
  /** What noise is drawn by. */
  readonly noiseSeed: string;
}

/** Opens a step; `steps` are those of the replicas' shares, or the one of the whole batch. Fails as `openTrainer`. */
export async function openStep(
  steps: readonly TrainingStep[],
  { plan, block, state: initial, noiseSeed }: OpenStepOptions,
): Promise<Trainer> {
  const session = sessionOptionsOf(plan);
  const [{ graph, guard, state }] = steps;
  if (steps.length === 1)
    return openTrainer(emitStep(graph, session, block), { ...session, state, initial, guard });
  const { replicas, exchange } = replicaStep(steps, noiseSeed);
  const sources = replicas.map(({ share, measure, update }) => ({
    share: emitStep(share, session, block),
    measure: measure && emitFor(measure, session),
    update: emitFor(update, session),
  }));
  return openReplicas(sources, {
    ...session,
    threads: threadsOfReplica(plan),
    exchange,
    initial,
    guard,
    samples: sharesOf(plan.batchSize, plan.replicas),
  });
}

/** The threads of each replica: together they have those of the run, or as many as there are processors. */
function threadsOfReplica({ threads = availableParallelism(), replicas }: SharedWork): number {
  return Math.max(1, Math.floor(threads / replicas));
}

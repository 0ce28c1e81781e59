/**
 * @file Sessions with state that share their work: each replica computes the gradients of its share of a batch, and
 * the next values of a part of the state. Their sessions are in threads of their own.
 */
import { EspalierError } from "../errors.ts";
import { type HostTensor, sizeOf } from "../tensor/host-tensor.ts";
import type { RuntimeHost } from "./host.ts";
import type { ReplicaExchange } from "./protocol.ts";
import { type SessionOptions, wireOptions } from "./session.ts";
import { sharedHost } from "./shared-host.ts";
import { type Trainer, trainerOf } from "./trainer.ts";
import type { Feeds, ModelSource } from "./values.ts";
import { toWireFeeds, toWireModel } from "./wire.ts";

/** The graphs that a replica runs in each step, in this order. */
export interface ReplicaSources {
  /** Computes the summands of its share. */
  readonly share: ModelSource;
  /** Computes figures of the sums that belong to it; `undefined` where there are none. */
  readonly measure: ModelSource | undefined;
  /** Computes the next values of the state that belongs to it. */
  readonly update: ModelSource;
}

/** How replicas are opened. `threads` is the number of each. */
export interface ReplicaOptions extends SessionOptions {
  readonly exchange: ReplicaExchange;
  /** The first value of every state input. */
  readonly initial: ReadonlyMap<string, HostTensor>;
  /** A bool output of every `update`, of one element; see `openTrainer`. */
  readonly guard: string;
  /** Samples of each replica's share, in their order: feeds are split so along their first axis. */
  readonly samples: readonly number[];
}

/**
 * Loads the graphs of replicas, at least two. What `step` is asked to fetch is told by the shares, or one of the figures.
 * @throws EspalierError as `openTrainer`.
 */
export async function openReplicas(
  replicas: readonly ReplicaSources[],
  options: ReplicaOptions,
  host: RuntimeHost = sharedHost(),
): Promise<Trainer> {
  const { exchange, initial, guard, samples, signal } = options;
  if (signal?.aborted) throw new EspalierError("ABORTED", "Stopped before the network was loaded.");
  const transfer: ArrayBuffer[] = [];
  const ask = {
    replicas: replicas.map(({ share, measure, update }) => ({
      share: toWireModel(share, transfer),
      measure: measure && toWireModel(measure, transfer),
      update: toWireModel(update, transfer),
    })),
    options: wireOptions(options),
    exchange,
    initial: toWireFeeds(initial, false, transfer),
    guard,
  };
  const { session } = await host.call("openReplicas", ask, transfer);
  return trainerOf(host, session, (feeds) => splitFeeds(feeds, samples));
}

/** Feeds of a whole batch, cut along their first axis; each replica gets all scalars. */
function splitFeeds(feeds: Feeds, samples: readonly number[]): readonly Feeds[] {
  let from = 0;
  return samples.map((count) => {
    const own = new Map([...feeds].map(([name, all]) => [name, rowsOf(all, from, from + count)]));
    from += count;
    return own;
  });
}

function rowsOf({ dtype, shape, data }: HostTensor, from: number, to: number): HostTensor {
  const [rows, ...rest] = shape;
  // Every replica takes its feeds as its own.
  if (rows === undefined) return { dtype, shape, data: data.slice() };
  const size = sizeOf(rest);
  return { dtype, shape: [to - from, ...rest], data: data.slice(from * size, to * size) };
}

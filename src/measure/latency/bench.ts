/**
 * @file Latency of networks, and the ratio between them.
 *
 * All networks live in one worker thread and take turns in blocks A B B A, so that a change of clock
 * rate or load hits all of them, and a drift cancels within a block. A block's value is the median of
 * its runs; intervals come from a bootstrap over blocks.
 */
import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { EspalierError } from "../../errors.ts";
import {
  openSession,
  profileNodes,
  type Session,
  type SessionOptions,
} from "../../runtime/session.ts";
import type { Feeds, ModelSource } from "../../runtime/values.ts";
import { type SpeedVerdict, speedOf } from "../../words/speed.ts";
import { type FeedOptions, randomFeeds } from "../inputs/feeds.ts";
import { type Interval, median, medianEstimate, ratioOfMedians } from "../statistics/statistics.ts";

/** A network to time. */
export interface BenchModel {
  readonly name: string;
  readonly model: ModelSource;
}

/** How to time. Without `runs` and `seconds`, 5 seconds for all networks together. */
export interface BenchOptions extends FeedOptions, Pick<SessionOptions, "providers" | "signal"> {
  /** Timed runs of each network, rounded up to whole blocks. */
  readonly runs?: number | undefined;
  /** Time after which no further block starts; there are always five blocks. */
  readonly seconds?: number | undefined;
  /** Runs of each network before anything counts; default about 0.2 s, two at least. */
  readonly warmup?: number | undefined;
  /** Threads inside an operator; default all processors that this process may use. */
  readonly threads?: number | undefined;
  /** Called after every block; `fraction` in [0, 1] is the share of the work that is done. */
  readonly onProgress?:
    | ((progress: { readonly fraction: number; readonly blocks: number }) => void)
    | undefined;
}

/** What one network takes. */
export interface Latency {
  readonly name: string;
  readonly medianMs: number;
  readonly ci95: Interval;
  /** Timed runs. */
  readonly runs: number;
  /** The sizes that were fed, by input. */
  readonly inputs: ReadonlyMap<string, readonly number[]>;
}

/** How a network compares with the first. */
export interface LatencyRatio {
  readonly name: string;
  /** Its latency / the first one's: below 1 is faster. */
  readonly ratio: number;
  readonly ci95: Interval;
  /** Faster or slower where the whole interval says so. */
  readonly verdict: SpeedVerdict;
}

/** What `bench` found. */
export interface BenchResult {
  readonly models: readonly Latency[];
  /** One for each network after the first. */
  readonly ratios: readonly LatencyRatio[];
  readonly threads: number;
  /** The first provider asked for; nodes that it cannot run fall back to the next. */
  readonly provider: string;
  readonly blocks: number;
}

const defaultSeconds = 5;
const fewestBlocks = 5;
/** Short runs are repeated for about so long before the turn passes on. */
const turnMs = 20;
const warmupMs = 200;

/**
 * Times networks against each other with random inputs.
 * @throws EspalierError `RUNTIME_FAILED`, `PROVIDER_MISSING`, `DATA_MISMATCH`, `ABORTED`.
 */
export async function bench(
  models: readonly BenchModel[],
  options: BenchOptions = {},
): Promise<BenchResult> {
  const { providers = ["cpu"], threads = availableParallelism(), signal } = options;
  const sessions: Session[] = [];
  try {
    for (const { model } of models)
      sessions.push(await openSession(model, { providers, threads, signal }));
    const racers = sessions.map((session) => ({
      session,
      feeds: randomFeeds(session.inputs, options),
    }));
    const series = await takeTurns(racers, options);
    return {
      models: models.map(({ name }, i) => {
        const { value, ci95 } = medianEstimate(series[i].blockMs);
        const inputs = new Map([...racers[i].feeds].map(([input, { shape }]) => [input, shape]));
        return { name, medianMs: value, ci95, runs: series[i].runs, inputs };
      }),
      ratios: models.slice(1).map(({ name }, i) => {
        const { value: ratio, ci95 } = ratioOfMedians(series[i + 1].blockMs, series[0].blockMs);
        return { name, ratio, ci95, verdict: speedOf({ ratio, ci95 }).verdict };
      }),
      threads,
      provider: providers[0] ?? "cpu",
      blocks: series[0]?.blockMs.length ?? 0,
    };
  } finally {
    for (const session of sessions) await session.close();
  }
}

interface Racer {
  readonly session: Session;
  readonly feeds: Feeds;
}

interface Series {
  /** Median of the runs of each block. */
  readonly blockMs: readonly number[];
  readonly runs: number;
}

async function takeTurns(
  racers: readonly Racer[],
  options: BenchOptions,
): Promise<readonly Series[]> {
  const { runs = Number.POSITIVE_INFINITY, signal, onProgress } = options;
  const seconds = options.seconds ?? (options.runs === undefined ? defaultSeconds : undefined);
  const turns: Turn[] = [];
  for (const racer of racers) turns.push(await warmUp(racer, options));

  const order = [...turns.keys(), ...[...turns.keys()].reverse()];
  const series = turns.map(() => ({ blockMs: [] as number[], runs: 0 }));
  const start = performance.now();
  for (let blocks = 0; turns.length > 0; ) {
    const block = turns.map((): number[] => []);
    for (const i of order) {
      throwIfAborted(signal);
      const { session, feeds } = racers[i];
      // The run that is not counted brings this network's weights back into the caches.
      const times = await session.time(feeds, { runs: turns[i].runs, warmup: turns[i].leadIn });
      for (const ms of times) block[i].push(ms);
    }
    for (const [i, times] of block.entries()) {
      series[i].blockMs.push(median(times));
      series[i].runs += times.length;
    }
    blocks++;
    const spent = (performance.now() - start) / 1000;
    const byTime = seconds === undefined ? 0 : Math.min(spent / seconds, blocks / fewestBlocks);
    const byRuns = Math.min(...series.map((s) => s.runs)) / runs;
    const fraction = Math.min(1, Math.max(byTime, byRuns));
    onProgress?.({ fraction, blocks });
    if (fraction === 1) break;
  }
  return series;
}

/** How often a network runs when its turn comes. */
interface Turn {
  readonly runs: number;
  readonly leadIn: number;
}

async function warmUp({ session, feeds }: Racer, options: BenchOptions): Promise<Turn> {
  throwIfAborted(options.signal);
  // The first run allocates; the second tells how long one takes.
  const [, once] = await session.time(feeds, { runs: 2, warmup: 0 });
  const more = options.warmup ?? Math.min(50, Math.ceil(warmupMs / once));
  const times = more > 2 ? await session.time(feeds, { runs: more - 2, warmup: 0 }) : [once];
  const ms = median(times);
  const wanted = Math.min(200, Math.max(1, Math.round(turnMs / ms)));
  // Few runs asked for are still spread over the fewest blocks, of two turns each.
  const share = Math.ceil((options.runs ?? Number.POSITIVE_INFINITY) / (2 * fewestBlocks));
  return { runs: Math.max(1, Math.min(wanted, share)), leadIn: ms < 2 * turnMs ? 1 : 0 };
}

/** How to time the nodes of a network, for a latency model of single layers. */
export interface ProfileOptions extends FeedOptions, SessionOptions {
  /** Runs that the mean is over; default 10. */
  readonly runs?: number | undefined;
  /** Default 3. */
  readonly warmup?: number | undefined;
}

/**
 * Mean milliseconds per run of each node that onnxruntime runs, with random inputs. The names are
 * those of the rewritten graph (see `profileNodes`); optimization `"extended"` keeps them nearest to
 * the file's.
 */
export async function profile(
  model: ModelSource,
  options: ProfileOptions = {},
): Promise<ReadonlyMap<string, number>> {
  const { runs = 10, warmup = 3 } = options;
  const session = await openSession(model, options);
  const feeds = randomFeeds(session.inputs, options);
  await session.close();
  const nodes = await profileNodes(model, feeds, { ...options, runs, warmup });
  return new Map(nodes.map(({ name, ms }) => [name, ms]));
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new EspalierError("ABORTED", "The timing was stopped.");
}

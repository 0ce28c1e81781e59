/**
 * @file Fills a cost table by timing micro networks on an engine, whichever it is: ONNX Runtime in a worker of Node
 * (`node-engine.ts`), or in a browser. This file needs no Node.
 */
import { EspalierError } from "../../errors.ts";
import type {
  CostSource,
  CostTable,
  LayerKind,
  LayerTimes,
  NetworkTime,
  OtherTimes,
} from "../../structure/timing/cost-table.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import { median } from "../statistics/statistics.ts";
import { chainNetwork, layerNetwork, type MicroNetwork } from "./micro-networks.ts";
import type { NodeNetworks } from "./node-networks.ts";

/** What runs networks and times them. */
export interface TimingEngine {
  readonly source: CostSource;
  readonly open: (
    model: readonly Uint8Array[],
    feeds: ReadonlyMap<string, HostTensor>,
  ) => Promise<TimedNetwork>;
}

/** A loaded network. */
export interface TimedNetwork {
  /** Milliseconds of each of some runs, after one that does not count. */
  readonly time: (runs: number) => Promise<ArrayLike<number>>;
  readonly close: () => Promise<void>;
}

/** A layer to time over widths. */
export interface LayerRequest {
  readonly kind: LayerKind;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** An operator without weights, to time at one size. */
export interface OtherRequest {
  readonly operator: string;
  readonly detail: string;
  readonly elements: number;
  readonly networks: NodeNetworks;
}

/** A whole network to time. */
export interface NetworkRequest extends Omit<NetworkTime, "ms"> {
  readonly model: readonly Uint8Array[];
  readonly feeds: ReadonlyMap<string, HostTensor>;
}

/** What a table is to hold. */
export interface CostRequest {
  readonly layers: readonly LayerRequest[];
  readonly others: readonly OtherRequest[];
  readonly networks: readonly NetworkRequest[];
}

/** How far a measurement is. */
export interface CostProgress {
  readonly done: number;
  readonly total: number;
}

/** How to measure. */
export interface MeasureOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CostProgress) => void) | undefined;
}

/** Turns that each network takes in a batch. */
const rounds = 5;
/** A turn is about so long. */
const turnMs = 3;
/** Networks that are open at once, and the bytes of their weights. */
const batchLimits = { networks: 120, weightBytes: 2 ** 27 };
const chainLengths = [8, 72] as const;

/** Measures what is asked for. Fails with `ABORTED`, and as the engine does. */
export async function measureCosts(
  engine: TimingEngine,
  request: CostRequest,
  options: MeasureOptions = {},
): Promise<CostTable> {
  const total = jobCount(request);
  let done = 0;
  const timing = new Timing(engine, options, request.networks, (count) => {
    done += count;
    options.onProgress?.({ done: Math.min(done, total), total });
  });
  try {
    const [short, long] = await timing.batch(
      chainLengths.map((length) => () => chainNetwork(length)),
    );
    const nodeMs = Math.max(0, (long - short) / (chainLengths[1] - chainLengths[0]));
    const layers: LayerTimes[] = [];
    for (const layer of request.layers) layers.push(await layerTimes(timing, layer, nodeMs));
    const others = await otherTimes(timing, request.others, nodeMs);
    const networks = await timing.wholeNetworks();
    return {
      format: "espalier-costs",
      version: 1,
      source: engine.source,
      nodeMs,
      layers,
      others,
      networks,
    };
  } finally {
    await timing.close();
  }
}

function jobCount({ layers, others }: CostRequest): number {
  const ofLayers = layers.reduce(
    (sum, { inputs, outputs }) => sum + inputs.length * (outputs.length + 1),
    0,
  );
  return chainLengths.length + ofLayers + 2 * others.length;
}

/** Networks take turns in batches, and whole networks are timed between batches, so that a change of load hits all. */
class Timing {
  readonly #engine: TimingEngine;
  readonly #options: MeasureOptions;
  readonly #requests: readonly NetworkRequest[];
  readonly #whole: (TimedNetwork & { readonly series: number[] })[] = [];
  readonly #onDone: (count: number) => void;

  constructor(
    engine: TimingEngine,
    options: MeasureOptions,
    requests: readonly NetworkRequest[],
    onDone: (count: number) => void,
  ) {
    this.#engine = engine;
    this.#options = options;
    this.#requests = requests;
    this.#onDone = onDone;
  }

  /** The median time of each network, in milliseconds of a run. They are made when they are needed. */
  async batch(makers: readonly (() => MicroNetwork)[]): Promise<number[]> {
    const times: number[] = [];
    let open: TimedNetwork[] = [];
    let bytes = 0;
    const flush = async (): Promise<void> => {
      times.push(...(await this.#takeTurns(open)));
      this.#onDone(open.length);
      open = [];
      bytes = 0;
    };
    try {
      for (const make of makers) {
        this.#requireGoOn();
        const { model, feeds, weightBytes } = make();
        if (open.length >= batchLimits.networks || bytes + weightBytes > batchLimits.weightBytes)
          await flush();
        open.push(await this.#engine.open(model, feeds));
        bytes += weightBytes;
      }
      await flush();
    } finally {
      for (const network of open) await network.close();
    }
    return times;
  }

  async wholeNetworks(): Promise<NetworkTime[]> {
    for (let turn = 0; turn < rounds; turn++) await this.#timeWhole();
    return this.#requests.map(({ name, layers, macs, params }, i) => {
      return { name, layers, macs, params, ms: median(this.#whole[i].series) };
    });
  }

  async close(): Promise<void> {
    for (const network of this.#whole.splice(0)) await network.close();
  }

  async #takeTurns(networks: readonly TimedNetwork[]): Promise<number[]> {
    const runs: number[] = [];
    for (const network of networks) {
      this.#requireGoOn();
      const once = median(await network.time(2));
      runs.push(Math.max(1, Math.min(100, Math.round(turnMs / Math.max(once, 1e-3)))));
    }
    const series = networks.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const [i, network] of networks.entries()) {
        this.#requireGoOn();
        series[i].push(median(await network.time(runs[i])));
      }
    }
    for (const network of networks) await network.close();
    await this.#timeWhole();
    return series.map((each) => median(each));
  }

  async #timeWhole(): Promise<void> {
    for (const [i, { model, feeds }] of this.#requests.entries()) {
      this.#whole[i] ??= { ...(await this.#engine.open(model, feeds)), series: [] };
      this.#whole[i].series.push(median(await this.#whole[i].time(5)));
    }
  }

  #requireGoOn(): void {
    if (this.#options.signal?.aborted)
      throw new EspalierError("ABORTED", "The measurement of the cost table was stopped.");
  }
}

/** The time of one copy. Each has a reader, and the network without them has one reader as well. */
function perCopy(whole: number, without: number, copies: number, nodeMs: number): number {
  return Math.max(nodeMs / 2, (whole - without - (copies - 1) * nodeMs) / copies);
}

async function layerTimes(
  timing: Timing,
  { kind, inputs, outputs }: LayerRequest,
  nodeMs: number,
): Promise<LayerTimes> {
  // Without the layer, only the channels that are read matter: those of a depthwise layer are its filters.
  const isDepthwise = kind.form === "depthwise";
  const bases = isDepthwise ? outputs : inputs;
  const baseOf = (width: number) =>
    isDepthwise ? { inputs: 1, outputs: width } : { inputs: width, outputs: 1 };
  const points = inputs.flatMap((input) =>
    outputs.map((output) => ({ inputs: input, outputs: output })),
  );
  const copies = points.map((point) => layerNetwork(kind, point).copies);
  const times = await timing.batch([
    ...bases.map((width) => () => layerNetwork(kind, baseOf(width), 0)),
    ...points.map((point) => () => layerNetwork(kind, point)),
  ]);
  const ofPoint = (i: number, o: number): number => {
    const at = i * outputs.length + o;
    const base = times[isDepthwise ? o : i];
    return perCopy(times[bases.length + at], base, copies[at], nodeMs);
  };
  return {
    ...kind,
    inputs,
    outputs,
    ms: inputs.map((_, i) => outputs.map((_, o) => ofPoint(i, o))),
  };
}

async function otherTimes(
  timing: Timing,
  requests: readonly OtherRequest[],
  nodeMs: number,
): Promise<readonly OtherTimes[]> {
  const times = await timing.batch(
    requests.flatMap(({ networks: { whole, without } }) => [() => whole, () => without]),
  );
  const known = new Map<string, { operator: string; detail: string; points: [number, number][] }>();
  for (const [i, { operator, detail, elements, networks }] of requests.entries()) {
    const key = `${operator} ${detail}`;
    const other = known.get(key) ?? { operator, detail, points: [] };
    known.set(key, other);
    const { copies } = networks.whole;
    // Reading a corner is a node in both networks.
    const ms = Math.max(0, (times[2 * i] - times[2 * i + 1]) / copies);
    other.points.push([elements, Math.max(ms, nodeMs / 2)]);
  }
  return [...known.values()].map(({ operator, detail, points }) => {
    points.sort(([a], [b]) => a - b);
    return { operator, detail, elements: points.map(([n]) => n), ms: points.map(([, t]) => t) };
  });
}

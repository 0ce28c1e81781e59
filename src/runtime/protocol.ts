/** @file What sessions and the host of ONNX Runtime say to each other. */
import type { DType } from "../tensor/dtype.ts";

/** A tensor on its way to the host or back: bytes that may change owner, or strings, which are copied. */
export interface WireTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: ArrayBuffer | readonly string[];
}

/** An input or output as onnxruntime declares it; an empty name stands for an unnamed size. */
export interface WireValue {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
}

/** How far ONNX Runtime rewrites a graph before it runs it. */
export type Optimization = "disabled" | "basic" | "extended" | "all";

/** How onnxruntime is to load a model. */
export interface WireOptions {
  readonly providers: readonly string[];
  readonly threads: number | undefined;
  readonly optimization: Optimization;
}

/** Bytes that change owner, or a path that onnxruntime reads itself. */
export type WireModel = ArrayBuffer | string;

/** What a replica runs in each step, in this order. */
export interface ReplicaModels {
  /** Computes the summands of its share of the batch. */
  readonly share: WireModel;
  /** Computes figures of the sums that it owns; `undefined` where there are none. */
  readonly measure: WireModel | undefined;
  /** Computes the next values of the state that it owns. */
  readonly update: WireModel;
}

/** What replicas exchange; numbers of owners count the replicas from 0. */
export interface ReplicaExchange {
  /** Values of every share, float32, whose sum over the shares goes to one replica. */
  readonly sums: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly owner: number;
  }[];
  /** Float32 scalars of every share, whose sums all replicas know. */
  readonly told: readonly string[];
  /** Float32 scalars that the owner of a sum measures, and all replicas know. */
  readonly figures: readonly { readonly name: string; readonly owner: number }[];
  /** The state inputs: who computes the next value, in which output, and whether all shares read it. */
  readonly state: ReadonlyMap<
    string,
    { readonly owner: number; readonly next: string; readonly isShared: boolean }
  >;
}

/** Memory that all replicas see. */
export interface ReplicaMemory {
  /** Whether a replica has failed, and how often one has come to a meeting. */
  readonly control: Int32Array;
  /** The scalars that each share tells, replica by replica. */
  readonly told: Float32Array;
  /** The figures, in their order. */
  readonly figures: Float32Array;
  /** Where tensors are handed over piece by piece: two areas that take turns. */
  readonly areas: readonly [Float32Array, Float32Array];
  /** Elements of a piece. */
  readonly piece: number;
}

/** The time of one node that onnxruntime really ran. */
export interface WireNodeTime {
  readonly name: string;
  readonly opType: string;
  /** The mean over the runs. */
  readonly ms: number;
  /** The median over the runs, which a few disturbed runs do not move. */
  readonly medianMs: number;
}

/** Each call: what is asked, and what comes back. */
export interface Calls {
  /** Names of the providers that this build of onnxruntime knows. */
  readonly providers: { readonly ask: null; readonly answer: readonly string[] };
  readonly open: {
    readonly ask: { readonly model: WireModel; readonly options: WireOptions };
    readonly answer: {
      readonly session: number;
      readonly inputs: readonly WireValue[];
      readonly outputs: readonly WireValue[];
    };
  };
  readonly run: {
    readonly ask: {
      readonly session: number;
      readonly feeds: ReadonlyMap<string, WireTensor>;
      /** Names of the outputs to give; all when `undefined`. */
      readonly fetches: readonly string[] | undefined;
    };
    readonly answer: ReadonlyMap<string, WireTensor>;
  };
  /** Keeps feeds in the worker, for `time`; replaces those held before. */
  readonly hold: {
    readonly ask: { readonly session: number; readonly feeds: ReadonlyMap<string, WireTensor> };
    readonly answer: null;
  };
  /** Runs a session with its held feeds; answers the ms of each run that is timed. */
  readonly time: {
    readonly ask: {
      readonly session: number;
      readonly runs: number;
      /** Runs before the timed ones, which are not timed. */
      readonly warmup: number;
    };
    readonly answer: Float64Array;
  };
  readonly profile: {
    readonly ask: {
      readonly model: WireModel;
      readonly options: WireOptions;
      readonly feeds: ReadonlyMap<string, WireTensor>;
      readonly runs: number;
      readonly warmup: number;
    };
    readonly answer: readonly WireNodeTime[];
  };
  /** Opens a session whose state stays in the worker. */
  readonly openTraining: {
    readonly ask: {
      readonly model: WireModel;
      readonly options: WireOptions;
      /** Output that computes the next value of each input. */
      readonly state: ReadonlyMap<string, string>;
      readonly initial: ReadonlyMap<string, WireTensor>;
      /** A bool output; where it is false the step changes nothing, and those after it do not run. */
      readonly guard: string | undefined;
    };
    readonly answer: { readonly session: number };
  };
  /** Opens a session with state as replicas: each in a thread of its own, the first in the one that is asked. */
  readonly openReplicas: {
    readonly ask: {
      readonly replicas: readonly ReplicaModels[];
      readonly options: WireOptions;
      readonly exchange: ReplicaExchange;
      readonly initial: ReadonlyMap<string, WireTensor>;
      readonly guard: string;
    };
    readonly answer: { readonly session: number };
  };
  /** Opens one replica of them. */
  readonly openReplica: {
    readonly ask: {
      readonly index: number;
      readonly count: number;
      readonly models: ReplicaModels;
      readonly options: WireOptions;
      readonly exchange: ReplicaExchange;
      readonly initial: ReadonlyMap<string, WireTensor>;
      readonly guard: string;
      readonly memory: ReplicaMemory;
    };
    readonly answer: { readonly session: number };
  };
  /** Runs a session with state once. */
  readonly step: {
    readonly ask: {
      readonly session: number;
      /** The feeds of each replica; of one session those of the batch. */
      readonly feeds: readonly ReadonlyMap<string, WireTensor>[];
      readonly fetches: readonly string[];
    };
    readonly answer: {
      readonly status: "done" | "refused" | "skipped";
      readonly results: ReadonlyMap<string, WireTensor>;
    };
  };
  /** Copies of the state; all of it when `names` is `undefined`. */
  readonly readState: {
    readonly ask: { readonly session: number; readonly names: readonly string[] | undefined };
    readonly answer: ReadonlyMap<string, WireTensor>;
  };
  /** Overwrites state, and lets a session that was stopped by its guard go on. */
  readonly writeState: {
    readonly ask: { readonly session: number; readonly state: ReadonlyMap<string, WireTensor> };
    readonly answer: null;
  };
  readonly close: { readonly ask: { readonly session: number }; readonly answer: null };
}

/** The name of a call. */
export type CallName = keyof Calls;

/** A call as it is posted. */
export type Request = {
  readonly [K in CallName]: {
    readonly id: number;
    readonly call: K;
    readonly ask: Calls[K]["ask"];
  };
}[CallName];

/** Why a call failed: onnxruntime's own words, a type that cannot come here, or a provider that is not there. */
export type Failure =
  | { readonly kind: "failed" | "type"; readonly message: string }
  | {
      readonly kind: "provider";
      readonly provider: string;
      readonly available: readonly string[];
      readonly message: string;
    };

/** What the worker posts back. */
export type Response =
  | { readonly id: number; readonly answer: Calls[CallName]["answer"] }
  | { readonly id: number; readonly failure: Failure };

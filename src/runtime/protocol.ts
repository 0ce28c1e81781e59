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

/** The mean time of one node that onnxruntime really ran. */
export interface WireNodeTime {
  readonly name: string;
  readonly opType: string;
  readonly ms: number;
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
  /** Runs a session with state once. */
  readonly step: {
    readonly ask: {
      readonly session: number;
      readonly feeds: ReadonlyMap<string, WireTensor>;
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

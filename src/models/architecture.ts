/** @file What a built-in network is, and the options that its builder takes. */
import type { Graph } from "../ir/graph.ts";
import type { RandomKey } from "../tensor/random.ts";

/** What can be asked of a network. Everything has a default. */
export interface NetworkOptions {
  /** How many classes; default the architecture's. */
  readonly classes?: number | undefined;
  /** Channels of the input; default the architecture's. */
  readonly channels?: number | undefined;
  /** Height and width of the input; default the architecture's. */
  readonly size?: readonly [height: number, width: number] | undefined;
  /** Channels of the first level, on which all others depend; only `unet` and `ternausnet`. */
  readonly width?: number | undefined;
  /** The seed of the weights; default 0. */
  readonly seed?: RandomKey | undefined;
}

/** Options with every default filled in. */
export interface NetworkPlan {
  readonly name: string;
  readonly classes: number;
  /** [C, H, W]. */
  readonly input: readonly [channels: number, height: number, width: number];
  readonly width: number;
  readonly seed: RandomKey;
}

/** How SGD trains a network well from its first weights on, where nothing else is asked for. */
export interface Recipe {
  /** The highest learning rate of the run. */
  readonly learningRate: number;
  readonly schedule: "cosine" | "one-cycle";
  /** Weight decay. */
  readonly decay: number;
}

/** A network that can be built from nothing. */
export interface Architecture {
  readonly name: string;
  /** One line for people. */
  readonly summary: string;
  /** Where it comes from. */
  readonly source: string;
  readonly task: "classification" | "segmentation";
  /** Default input, [C, H, W]. */
  readonly input: readonly [channels: number, height: number, width: number];
  /** Default number of classes. */
  readonly classes: number;
  /** Default width; `undefined` where the width is fixed. */
  readonly width: number | undefined;
  /** `undefined` where the settings that hold for every network are taken. */
  readonly recipe: Recipe | undefined;
  /** The least height and width. */
  readonly minSize: number;
  /** Height and width must be multiples of it. */
  readonly sizeMultiple: number;
  build(plan: NetworkPlan): Graph;
}

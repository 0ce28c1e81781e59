/** @file A model as it is read and as it is written: the types that both sides share. */
import type { Graph } from "../ir/graph.ts";
import type { Lift } from "./forms/lift.ts";

/** A model as it was read. Passes work on `graph`; everything else stays in the bytes. */
export interface Model {
  readonly graph: Graph;
  /** Version of the standard operator set. */
  readonly opset: number;
  /** Version of every imported operator set; the standard one under `""`. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly irVersion: number;
  /** Name and version of the tool that wrote the file, as the file states it; may be empty. */
  readonly producer: string;
  readonly metadata: ReadonlyMap<string, string>;
  /** Bytes of the model, external data included. */
  readonly sizeBytes: number;
  /** What `writeModel` patches; of no use to anybody else. */
  readonly file: ModelFile;
}

/** The file behind a model. */
export interface ModelFile {
  /** The file with functions and choices written out; the original where it has none. */
  readonly bytes: Uint8Array;
  /** The file as it was read. */
  readonly original: Uint8Array;
  readonly lifts: ReadonlyMap<number, Lift>;
  /** Constants whose elements lie in other files. */
  readonly external: ReadonlySet<string>;
  /** Number of dense initialisers; the sparse ones are counted after them. */
  readonly denseCount: number;
}

/** A written model: chunks to be laid end to end, so that big weights are not copied. */
export interface ModelBytes {
  readonly chunks: readonly Uint8Array<ArrayBuffer>[];
  readonly byteLength: number;
  /** Weights that go to a second file beside the model. */
  readonly external: ExternalBytes | undefined;
}

/** The second file of a model whose weights do not fit into one. */
export interface ExternalBytes {
  /** The name of the file, as the model states it. */
  readonly location: string;
  readonly chunks: readonly Uint8Array<ArrayBuffer>[];
  readonly byteLength: number;
}

/** How to write. */
export interface WriteOptions {
  /** Put large weights into a second file; done without being asked above 2 GB. */
  readonly externalData?: boolean | undefined;
  /** The name of that second file. */
  readonly externalLocation?: string | undefined;
  /** Metadata entries to add or replace. */
  readonly metadata?: ReadonlyMap<string, string> | undefined;
}

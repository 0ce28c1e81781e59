/** @file `readModel`: the bytes of an ONNX file as a model. */

import { EspalierError } from "../../errors.ts";
import { bodyContents, type Graph } from "../../ir/graph.ts";
import { withComputedWeights } from "../../ops/passes/weight-arithmetic.ts";
import { withoutChoices } from "../forms/branches.ts";
import { functionsOf, withoutCalls } from "../forms/functions.ts";
import type { Model } from "../model.ts";
import { freeNames, scanNode } from "../parts/captures.ts";
import type { ExternalDataSource } from "../parts/external.ts";
import { storedBytes, type TensorContext } from "../parts/tensor-proto.ts";
import { defaultLimits, type Limits } from "../protobuf/limits.ts";
import { fieldOf, joined, patchMessage } from "../protobuf/rope.ts";
import {
  decode,
  functionProto,
  modelProto,
  opsetId,
  stringEntry,
  trainingInfo,
} from "../protobuf/schema.ts";
import { concatBytes, writeModel } from "../writing/write.ts";
import { type GraphRead, readGraph } from "./read-graph.ts";

/** How to read. */
export interface ReadOptions {
  /** Deviations from {@link defaultLimits}. */
  readonly limits?: Partial<Limits> | undefined;
  /** Gives access to weights in other files; without it such models are refused. */
  readonly externalData?: ExternalDataSource | undefined;
}

/** The oldest operator set whose forms are understood. */
const oldestOpset = 7;

/**
 * Reads a model. `bytes` are kept, not copied; do not change them afterwards.
 *
 * Everything is validated here (names, order, every tensor's size) and weights are decoded only
 * when a constant is read. Whatever is wrong with the file is an `EspalierError`.
 */
export function readModel(bytes: Uint8Array, options: ReadOptions = {}): Model {
  const model = readAsIs(bytes, options);
  if (model.file.external.size > 0) return model;
  const graph = withComputedWeights(model.graph);
  if (graph === model.graph) return model;
  const written = readAsIs(concatBytes(writeModel(model, graph)), options);
  const file = { ...written.file, original: bytes };
  return { ...written, sizeBytes: model.sizeBytes, file };
}

/** The model with weights that its nodes compute left to them. */
function readAsIs(bytes: Uint8Array, options: ReadOptions): Model {
  const limits = { ...defaultLimits, ...options.limits };
  if (bytes.length > limits.maxBytes)
    throw new EspalierError(
      "MODEL_TOO_LARGE",
      `The model has ${bytes.length} bytes; at most ${limits.maxBytes} are read.`,
    );
  const context: TensorContext = {
    limits,
    budget: { fields: limits.maxFields },
    externalData: options.externalData,
  };
  const proto = decode(modelProto, bytes, context.budget);
  if (bytes.length === 0)
    throw new EspalierError("MODEL_NOT_ONNX", "The file is empty.", {
      hint: "Download or export the model again; nothing of it arrived.",
    });
  if (proto.graph === undefined)
    throw new EspalierError("MODEL_NOT_ONNX", "The file holds no ONNX graph.", {
      hint: "Give the path of an .onnx file.",
    });
  const opsets = readOpsets(proto.opsetImport, context);
  const opset = opsets.get("") ?? 0;
  if (opset < oldestOpset)
    throw new EspalierError(
      "MODEL_UNSUPPORTED",
      opset === 0
        ? "The model imports no standard operator set."
        : `The model uses operator set ${opset}; the oldest supported is ${oldestOpset}.`,
      {
        hint: "Convert it with onnx.version_converter, or export it again with a newer opset.",
        data: { opset },
      },
    );
  checkUnreadParts(proto.functions, proto.trainingInfo, context);
  const { read, isRewritten, body } = readWritten(proto.graph, proto, opsets, context);
  const { graph, external } = read;
  let sizeBytes = bytes.length;
  for (const name of external) sizeBytes += bytesOfConstant(graph, name);
  return {
    graph,
    opset,
    opsets,
    irVersion: proto.irVersion,
    producer: `${proto.producerName} ${proto.producerVersion}`.trim(),
    metadata: new Map(
      proto.metadata.map((entry) => {
        const { key, value } = decode(stringEntry, entry, context.budget);
        return [key, value];
      }),
    ),
    sizeBytes,
    file: {
      ...read,
      bytes: isRewritten ? withGraph(bytes, body, needsFunctions(graph)) : bytes,
      original: bytes,
    },
  };
}

/** The ModelProto with another graph, and without its functions where nothing calls them any more. */
function withGraph(model: Uint8Array, graph: Uint8Array, keepsFunctions: boolean): Uint8Array {
  return joined(
    patchMessage(model, (field) => {
      if (field.holds(25) && !keepsFunctions) return "drop";
      return field.holds(7) ? fieldOf(7, graph) : "keep";
    }),
  );
}

/** Whether a node may call a function: by its domain, or inside a body. */
function needsFunctions({ nodes }: Graph): boolean {
  return nodes.some((node) => node.domain !== "" || bodyContents(node).nodes > 0);
}

/**
 * The graph, written out: calls of functions, and choices that are always the same, give way to what they
 * come to.
 */
function readWritten(
  given: Uint8Array,
  {
    functions,
    irVersion,
  }: { readonly functions: readonly Uint8Array[]; readonly irVersion: number },
  opsets: ReadonlyMap<string, number>,
  context: TensorContext,
): { readonly read: GraphRead; readonly body: Uint8Array; readonly isRewritten: boolean } {
  const versions = { opset: opsets.get("") ?? 0, irVersion };
  let body =
    functions.length === 0
      ? given
      : withoutCalls(given, functionsOf(functions, opsets, context), context);
  let read = readGraph(body, versions, context);
  for (let next = withoutChoices(body, read.graph); next; next = withoutChoices(body, read.graph)) {
    body = joined(next);
    read = readGraph(body, versions, context);
  }
  return { read, body, isRewritten: body !== given };
}

function readOpsets(
  entries: readonly Uint8Array[],
  context: TensorContext,
): ReadonlyMap<string, number> {
  const opsets = new Map<string, number>();
  for (const entry of entries) {
    const { domain, version } = decode(opsetId, entry, context.budget);
    const key = domain === "ai.onnx" ? "" : domain;
    if (opsets.has(key) && opsets.get(key) !== version)
      throw new EspalierError(
        "MODEL_BAD_GRAPH",
        `The model imports two versions of the operator set "${domain}".`,
      );
    opsets.set(key, version);
  }
  return opsets;
}

/** Functions and training graphs are kept as they are, but nothing in them may be damaged. */
function checkUnreadParts(
  functions: readonly Uint8Array[],
  training: readonly Uint8Array[],
  context: TensorContext,
): void {
  for (const bytes of functions)
    for (const node of decode(functionProto, bytes, context.budget).node)
      scanNode(node, context, 0);
  for (const bytes of training) {
    const { initialization, algorithm } = decode(trainingInfo, bytes, context.budget);
    if (initialization) freeNames(initialization, context, 1);
    if (algorithm) freeNames(algorithm, context, 1);
  }
}

function bytesOfConstant(graph: Graph, name: string): number {
  const constant = graph.constants.get(name);
  return constant === undefined ? 0 : storedBytes(constant.dtype, constant.shape);
}

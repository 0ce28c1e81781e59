/**
 * @file What becomes of a graph's quantisation annotations, which say of a tensor which others hold its
 * scale and zero point. Nothing reads them when the network runs, but they must not become untrue.
 */
import { inferTypes } from "../../ops/passes/infer.ts";
import type { FieldEdit } from "../protobuf/rope.ts";
import { decode, stringEntry, tensorAnnotation } from "../protobuf/schema.ts";
import type { WritePlan } from "./write-plan.ts";

const noLimit = { fields: Number.POSITIVE_INFINITY };

/**
 * Decides over each TensorAnnotation of the file. An annotation goes when a tensor that it names is gone. It also goes
 * when only one was cut of a tensor and the vector that holds its scales or zero points.
 */
export function annotationEditor(plan: WritePlan): (bytes: Uint8Array) => FieldEdit {
  const { oldDefined, defined } = plan;
  const isGone = (name: string) => oldDefined.has(name) && !defined.has(name);
  const isVector = vectorsOf(plan);
  let isCut: ((name: string) => boolean) | undefined;
  return (bytes) => {
    const { tensorName, parameters } = decode(tensorAnnotation, bytes, noLimit);
    // A value names a tensor or (as QONNX writes it) is a word of its own, such as INT8.
    const named = parameters
      .map((entry) => decode(stringEntry, entry, noLimit).value)
      .filter((value) => oldDefined.has(value));
    if ([tensorName, ...named].some(isGone)) return "drop";
    const vectors = plan.graph === plan.model.graph ? [] : named.filter(isVector);
    if (vectors.length === 0) return "keep";
    isCut ??= cutsOf(plan);
    const changes = isCut;
    return vectors.some((name) => changes(name) !== changes(tensorName)) ? "drop" : "keep";
  };
}

/** Whether a value is, or may be, more than one number. */
function vectorsOf({ model }: WritePlan): (name: string) => boolean {
  const { constants } = model.graph;
  return (name) => constants.get(name)?.shape.some((size) => size > 1) ?? true;
}

/** Whether a value has another shape than it had. */
function cutsOf({ model, graph }: WritePlan): (name: string) => boolean {
  const [before, after] = [model.graph, graph].map((one) => inferTypes(one).types);
  return (name) => before.get(name)?.shape?.join() !== after.get(name)?.shape?.join();
}

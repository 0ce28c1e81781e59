/**
 * @file What training makes of an operator: which inputs are trained, which hold running statistics,
 * and how the operator runs while the network learns.
 */
import type { Node } from "../../ir/graph.ts";
import { type HostTensor, tensorOf } from "../../tensor/host-tensor.ts";
import { attributesOf } from "../operator/attributes.ts";

/** Inputs that hold parameters, by operator. Anything else that is constant belongs to the architecture. */
const weightInputs: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [1, 2],
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Einsum: [0, 1],
  Gemm: [0, 1, 2],
  GroupNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  LayerNormalization: [1, 2],
  MatMul: [0, 1],
  PRelu: [1],
};

/** Which inputs of a node are parameters where they are constant. */
export interface TrainedInputs {
  readonly weights: readonly number[];
  /**
   * Inputs that scale or shift the other one. They are parameters behind a layer with weights (a bias
   * that stands alone), and part of the preprocessing or of box arithmetic elsewhere.
   */
  readonly affine: readonly number[];
  /** Whether the node draws noise: what scales and shifts it is trained as that of a layer. */
  readonly isNoise: boolean;
}

/** The inputs of a node that training may change. */
export function trainedInputs({ domain, opType }: Node): TrainedInputs {
  const isAffine = domain === "" && (opType === "Add" || opType === "Mul");
  const weights = domain === "" && Object.hasOwn(weightInputs, opType) ? weightInputs[opType] : [];
  const isNoise = domain === "" && opType === "RandomNormalLike";
  return { weights, affine: isAffine ? [0, 1] : [], isNoise };
}

/** Where a node keeps statistics of what it has seen, and how it updates them in training. */
export interface RunningStatistics {
  readonly meanInput: number;
  readonly varianceInput: number;
  /** Outputs of the training form: mean and biased variance of the batch. */
  readonly meanOutput: number;
  readonly varianceOutput: number;
  /** The share of the old value that stays at each step. */
  readonly momentum: number;
}

/** The running statistics of a node, if it has any. */
export function runningStatistics(node: Node): RunningStatistics | undefined {
  if (node.domain !== "" || node.opType !== "BatchNormalization") return undefined;
  const momentum = attributesOf(node).float("momentum", 0.9);
  return { meanInput: 3, varianceInput: 4, meanOutput: 1, varianceOutput: 2, momentum };
}

/** What a training form may add to the graph. */
export interface TrainingFormContext {
  /** The name of a new constant. */
  constant(tensor: HostTensor): string;
  /** A name for a further output. */
  fresh(stem: string): string;
  /** A seed that no other node has, below 2^24. */
  seed(): number;
  /** Whether batch normalization takes the statistics of the batch. */
  readonly usesBatchStatistics: boolean;
}

/** The node as it runs in training; the node itself where training changes nothing. */
export function trainingForm(node: Node, context: TrainingFormContext): Node {
  if (node.domain !== "") return node;
  switch (node.opType) {
    case "BatchNormalization": {
      if (!context.usesBatchStatistics) return node;
      const [y, mean = "", variance = ""] = node.outputs;
      const outputs = [
        y,
        mean || context.fresh(`${y}:mean`),
        variance || context.fresh(`${y}:variance`),
      ];
      // With a momentum of 0 the running statistics are those of the batch.
      const attributes = new Map(node.attributes)
        .set("training_mode", { kind: "int", value: 1 })
        .set("momentum", { kind: "float", value: 0 });
      return { ...node, attributes, outputs };
    }
    case "Dropout": {
      const [x, ratio = ""] = node.inputs;
      const [y, mask = ""] = node.outputs;
      const isTraining = context.constant(tensorOf("bool", [], [1]));
      return {
        ...node,
        inputs: [x, ratio, isTraining],
        outputs: [y, mask || context.fresh(`${y}:mask`)],
        attributes: new Map(node.attributes).set("seed", { kind: "int", value: context.seed() }),
      };
    }
    case "RandomNormalLike":
      return withSeed(node, context.seed());
    default:
      return node;
  }
}

/** A node that draws noise, with the seed of its stream; any other as it is. */
export function withSeed(node: Node, seed: number): Node {
  if (!trainedInputs(node).isNoise) return node;
  // In its schema the seed is a float.
  const attributes = new Map(node.attributes).set("seed", { kind: "float", value: seed });
  return { ...node, attributes };
}

/** The input of a node that holds the sizes of its output, element by element in the order of the data. */
export function shapeInput({ domain, opType }: Node): number | undefined {
  return domain === "" && opType === "Reshape" ? 1 : undefined;
}

/** @file The options that methods with random gates share, and where their gates stand. */
import { EspalierError } from "../../errors.ts";
import { nodesBehind } from "../../ir/live.ts";
import { candidateUnits } from "../../structure/select.ts";
import type { LearningContext } from "../method/learned-method.ts";
import { type Method, type MethodOption, numberOptionOf, optionOf } from "../method/method.ts";
import { collapseOption, rollsBackCollapse } from "../posterior/monitors.ts";
import { type Gate, gatesOf } from "./filter-gates-sites.ts";
import { chooseLambda, type Lambda, unitShares } from "./gate-lambda.ts";
import { gateForms } from "./gate-posterior.ts";
import type { GateTraining } from "./gate-training.ts";
import { randomizable } from "./noisy-gates.ts";

/** The options of a method with random gates. */
export function gateOptions(epochs: MethodOption): readonly MethodOption[] {
  return [
    {
      name: "lambda",
      values: [],
      default: "auto",
      description:
        "weight of the gates' divergence, a threshold on the squared signal-to-noise ratio; auto: ln N for N samples, or less where the target asks for no more, but at least 1",
    },
    epochs,
    { name: "rate", values: [], default: "0.001", description: "learning rate of the network" },
    { name: "gate-rate", values: [], default: "0.01", description: "learning rate of the gates" },
    {
      name: "warmup",
      values: [],
      default: "0.25",
      description: "share of the steps over which lambda rises from 0, up to 1",
    },
    {
      name: "weight",
      values: ["none", "flops"],
      default: "none",
      description: "whether lambda counts more for units that cost more",
    },
    {
      name: "form",
      values: [...gateForms],
      default: "gaussian",
      description: "how noise is held: by its variance, or relative to its gate",
    },
    {
      name: "stream",
      values: ["off", "on"],
      default: "off",
      description: "gates on residual streams, too, or inside blocks alone",
    },
    {
      name: "threshold",
      values: [],
      default: "1",
      description: "squared signal-to-noise ratio up to which a unit counts as dead",
    },
    collapseOption,
    {
      name: "statistics",
      values: ["frozen", "batch"],
      default: "frozen",
      description: "whether batch normalization keeps its statistics in that training",
    },
    {
      name: "images",
      values: [],
      default: "1024",
      description: "images for the gates' Fisher information (lambda auto)",
    },
    {
      name: "compensate",
      values: ["on", "off"],
      default: "on",
      description: "replace removed channels by the value that batch normalization lets expect",
    },
  ];
}

/** The options, read. */
export interface GateSettings extends GateTraining {
  /** `undefined`: to be chosen. */
  readonly lambda: number | undefined;
  readonly weight: "none" | "flops";
  readonly hasStreams: boolean;
  readonly images: number;
  readonly isCompensated: boolean;
}

/** Reads the options of {@link gateOptions}. Fails with `USAGE`. */
export function gateSettings(
  method: Pick<Method, "name" | "options">,
  context: Pick<LearningContext, "options">,
): GateSettings {
  const number = (option: string, least: number, isWhole = false) =>
    numberOptionOf(method, context, option, { least, isWhole });
  const is = (option: string, value: string) => optionOf(method, context, option) === value;
  const warmUp = number("warmup", 0);
  if (warmUp > 1)
    throw new EspalierError("USAGE", `the option warmup of ${method.name} is ${warmUp}`, {
      hint: "It is a share of the steps, from 0 to 1.",
      data: { option: "warmup", value: String(warmUp) },
    });
  return {
    lambda: is("lambda", "auto") ? undefined : number("lambda", 0),
    epochs: number("epochs", 1, true),
    rate: number("rate", Number.MIN_VALUE),
    gateRate: number("gate-rate", Number.MIN_VALUE),
    warmUp,
    weight: is("weight", "flops") ? "flops" : "none",
    form: is("form", "alpha") ? "alpha" : "gaussian",
    hasStreams: is("stream", "on"),
    threshold: number("threshold", 0),
    rollsBack: rollsBackCollapse(context),
    statistics: is("statistics", "batch") ? "batch" : "frozen",
    images: number("images", 1, true),
    isCompensated: is("compensate", "on"),
  };
}

/**
 * Where random gates stand: behind all layers whose filters may go and on which an output that is trained
 * depends, in graph order.
 * Fails with `MODEL_UNSUPPORTED` where there is no such place.
 */
export function randomGates(
  { structure, rules }: Pick<LearningContext, "structure" | "rules">,
  { hasStreams }: Pick<GateSettings, "hasStreams">,
  outputs: readonly string[] = structure.analysis.graph.outputs.slice(0, 1),
): readonly Gate[] {
  const { nodes } = structure.analysis.graph;
  const behind = nodesBehind(nodes, outputs);
  const computed = new Set(behind.flatMap((node) => [...node.inputs, ...node.outputs]));
  const candidates = new Set(candidateUnits(structure, rules));
  const all = randomizable(gatesOf(structure), structure)
    .filter(({ units }) => units.some((unit) => candidates.has(unit)))
    .filter(({ sites }) => sites.some(({ value }) => computed.has(value)));
  const gates = all.filter(({ group }) => hasStreams || !structure.groups[group].isStream);
  if (gates.length > 0) return gates;
  const hint =
    all.length > 0
      ? "All that can go is on residual streams; the option stream=on puts gates there."
      : "They stand behind layers with constant weights whose channels can be removed.";
  throw new EspalierError("MODEL_UNSUPPORTED", "no layer's filters could have random gates", {
    hint,
  });
}

/** λ, and λ A_c for the units of each gate. */
export async function gateWeights(
  context: LearningContext,
  gates: readonly Gate[],
  { lambda: given, weight, images }: GateSettings,
): Promise<{ readonly lambda: Lambda; readonly weights: (gate: Gate) => Float64Array }> {
  const shares = unitShares(context, gates, weight);
  const lambda =
    given === undefined
      ? await chooseLambda(context, gates, shares, images)
      : { value: given, reason: "as given" };
  const weighted = new Map(
    [...shares].map(([gate, own]) => [gate, own.map((share) => share * lambda.value)]),
  );
  return { lambda, weights: (gate) => weighted.get(gate) ?? new Float64Array(gate.units.length) };
}

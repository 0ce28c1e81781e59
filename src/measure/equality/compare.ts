/**
 * @file Two networks on the same inputs: do they compute the same? At two optimisation levels of
 * ONNX Runtime, because its fusions have been wrong before, and before whatever may hide a difference.
 */
import type { Graph } from "../../ir/graph.ts";
import type { Model, ModelBytes } from "../../onnx/model.ts";
import { isQuantised } from "../../ops/passes/ends.ts";
import type { Place, Places } from "../../structure/change/places.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { type HostTensor, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { declaredInputs, randomFeeds } from "../inputs/feeds.ts";
import { requireRunnable } from "../inputs/run-size.ts";
import { Comparison, type Feeds } from "./comparison.ts";
import { type Finding, findingWhenOptimised, type Judgement } from "./judgement.ts";

/** One comparison. */
export interface VerificationCheck {
  /** The optimisation level, and the output or inner tensor compared. */
  readonly name: string;
  /**
   * Largest absolute difference, as a share of the range of the values on that input; 0 where rounding
   * explains it.
   */
  readonly maxError: number;
  /** What rounding alone moves in the reference, as a share of that range; 0 where nothing asked for it. */
  readonly noise: number;
  /**
   * What the comparison shows. "runtime": at this level ONNX Runtime computes the quantised network with
   * whole numbers, and otherwise than at the level where both are equal.
   */
  readonly finding: Finding | "runtime";
  /** Whether nothing speaks against the smaller network here. */
  readonly passed: boolean;
}

/** The result of a verification. */
export interface Verification {
  /** Whether all checks passed, and for every output something shows that both compute the same. */
  readonly passed: boolean;
  /** The largest error of all checks. */
  readonly maxError: number;
  /** Inputs that were run. */
  readonly samples: number;
  readonly tolerance: number;
  readonly checks: readonly VerificationCheck[];
  /**
   * Outputs whose values prove little, because they do not depend on the inputs tried, are empty or are whole
   * numbers; what they are computed from was compared instead.
   */
  readonly provesLittle: readonly { readonly output: string; readonly finding: Finding }[];
  /** Inner tensors that were compared, too. */
  readonly innerTensors: number;
}

/** What speaks against the smaller network, one clause each; none where it passed. */
export function problemsOf({
  passed,
  checks,
}: Pick<Verification, "passed" | "checks">): readonly string[] {
  const failed = checks
    .filter((check) => !check.passed)
    .map(({ name, maxError }) => `${name}: an error of ${maxError.toExponential(1)}`);
  return passed || failed.length > 0
    ? failed
    : ["no value that was compared depends on the inputs tried, so that nothing is proved"];
}

/** How to verify. */
export interface VerifyOptions {
  /** Random inputs (normal, of several spreads), default 3. */
  readonly samples?: number | undefined;
  readonly seed?: number | undefined;
  /** Further inputs: real data. */
  readonly feeds?: readonly ReadonlyMap<string, HostTensor>[] | undefined;
  /** Largest error allowed; default 1e-4, for float16 and quantised networks 2e-2. */
  readonly tolerance?: number | undefined;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Spreads of the random inputs. Networks take anything from normalised pixels to raw 0..255, and a
 * detector whose inputs are far too small says nothing but zeros, of which float noise is a large share.
 */
const scales = [1, 16, 255];

/** Elements of inner tensors that are fetched at most at a time, on one input. */
const innerElements = 2 ** 25;

/**
 * Runs two networks with the original's inputs and outputs and compares what comes out. Where `places` are
 * given, what comes before saturating ends is compared as well, and what layers compute where outputs prove
 * little.
 * Errors: `RUNTIME_FAILED` when onnxruntime refuses one of them, `MODEL_TOO_LARGE`, `VERIFY_FAILED` when the
 * smaller one takes no other batch size though the original does.
 */
export async function compareModels(
  original: Model,
  reference: ModelBytes,
  small: ModelBytes,
  dims: ReadonlyMap<string, number>,
  options: VerifyOptions = {},
  places: Places = { ends: new Map(), layers: [] },
): Promise<Verification> {
  const { graph } = original;
  requireRunnable(graph, dims);
  const { tolerance = defaultTolerance(graph) } = options;
  const usualFeeds = feedsFor(graph, dims, options);
  const feeds = withOtherBatch(graph, dims, options, usualFeeds);
  const comparison = new Comparison({ reference, small, feeds, usualFeeds, tolerance, options });
  const ends = [...new Set([...places.ends.values()].flat())];

  const { exact, fused, inner: beforeEnds } = await comparison.judge(graph.outputs, ends);
  const isWhole = graph.nodes.some(isQuantised);
  const ofOutputs = exact.flatMap(({ name, judgement }, i) => {
    const optimised = fused[i].judgement;
    const finding = findingWhenOptimised(judgement.finding, optimised.finding, isWhole);
    return [
      check(`optimization disabled, output "${name}"`, judgement),
      check(`optimization all, output "${name}"`, { ...optimised, finding }),
    ];
  });
  const nameInner = (name: string) => `optimization disabled, inner tensor "${name}"`;
  const ofEnds = beforeEnds.map(({ name, judgement }) => check(nameInner(name), judgement));

  const findings = new Map(beforeEnds.map(({ name, judgement }) => [name, judgement.finding]));
  const little = exact
    .map(({ name, judgement: { finding } }) => ({ output: name, finding }))
    .filter(({ finding }) => finding !== "equal" && finding !== "different");
  const isBacked = ({ output }: { readonly output: string }) =>
    (places.ends.get(output) ?? []).some(({ name }) => findings.get(name) === "equal");
  const needsLayers = !little.every(isBacked);
  const compared = new Set(ends);
  const others = places.layers.filter((place) => !compared.has(place));
  const ofLayers = needsLayers ? await judgedLayers(comparison, others, nameInner) : [];
  const checks = [...ofOutputs, ...ofEnds, ...ofLayers];
  const inner = [...ofEnds, ...ofLayers];
  // Where no layer at all depends on the inputs, the network is constant, and so is the smaller one.
  const isWholeNetwork = ofLayers.length > 0 && ofLayers.length === others.length;
  const isShown =
    !needsLayers || isWholeNetwork || inner.some(({ finding }) => finding === "equal");
  return {
    passed: isShown && checks.every(({ passed }) => passed),
    maxError: checks
      .filter(({ finding }) => finding !== "runtime")
      .reduce((worst, { maxError }) => Math.max(worst, maxError), 0),
    samples: feeds.length,
    tolerance,
    checks,
    provesLittle: little,
    innerTensors: inner.length,
  };
}

function check(
  name: string,
  { maxError, noise, finding }: Omit<Judgement, "finding"> & Pick<VerificationCheck, "finding">,
): VerificationCheck {
  return { name, maxError, noise, finding, passed: finding !== "different" };
}

/**
 * What layers compute, from the end of the network back until something depends on the inputs. As many
 * are fetched at a time as memory allows.
 */
async function judgedLayers(
  comparison: Comparison,
  layers: readonly Place[],
  nameOf: (tensor: string) => string,
): Promise<readonly VerificationCheck[]> {
  const checks: VerificationCheck[] = [];
  for (let end = layers.length; end > 0; ) {
    let [start, elements] = [end - 1, layers[end - 1].size];
    while (start > 0 && elements + layers[start - 1].size <= innerElements)
      elements += layers[--start].size;
    const judged = await comparison.judgeInner(layers.slice(start, end));
    checks.unshift(...judged.map(({ name, judgement }) => check(nameOf(name), judgement)));
    if (checks.some(({ finding }) => finding === "equal" || finding === "different")) break;
    end = start;
  }
  return checks;
}

/** Rounding differs with the order of summation; coarse number formats make that visible. */
function defaultTolerance(graph: Graph): number {
  const isCoarse = [...graph.constants.values()].some(
    ({ dtype, shape }) =>
      shape.length > 0 && (isFloat(dtype) ? dtype.includes("16") : dtype.endsWith("int8")),
  );
  return isCoarse ? 2e-2 : 1e-4;
}

/** The random input that gets another batch size, where there are at least three. */
const otherBatchAt = 1;

/** The same feeds, one of them with one sample more where the batch is open; the same object where it is not. */
function withOtherBatch(
  graph: Graph,
  dims: ReadonlyMap<string, number>,
  options: VerifyOptions,
  usual: readonly Feeds[],
): readonly Feeds[] {
  const { samples = 3 } = options;
  const others = new Map(dims);
  for (const name of graph.inputs) {
    const batch = graph.types.get(name)?.shape?.[0];
    const size = typeof batch === "string" ? dims.get(batch) : undefined;
    if (typeof batch === "string" && size !== undefined) others.set(batch, size + 1);
  }
  const isSame = [...others].every(([name, size]) => dims.get(name) === size);
  if (samples < 3 || isSame) return usual;
  const wider = feedsFor(graph, others, { ...options, feeds: [] });
  if (wider.length <= otherBatchAt) return usual;
  return usual.with(otherBatchAt, wider[otherBatchAt]);
}

/** The random inputs, and those that were given. */
function feedsFor(
  graph: Graph,
  dims: ReadonlyMap<string, number>,
  { samples = 3, seed = 0, feeds = [] }: VerifyOptions,
): readonly Feeds[] {
  const inputs = declaredInputs(graph);
  const random = Array.from({ length: samples }, (_, i) =>
    scaled(randomFeeds(inputs, { dims, seed: seed + i }), scales[i % scales.length]),
  );
  // Inputs that are zeros for want of anything else are the same each time: once is enough.
  const varies = inputs.some(({ dtype }) => isFloat(dtype) || dtype === "uint8");
  return [...(varies ? random : random.slice(0, 1)), ...feeds];
}

function scaled(feeds: Feeds, scale: number): Feeds {
  return new Map(
    [...feeds].map(([name, tensor]) => {
      if (!isFloat(tensor.dtype)) return [name, tensor];
      const values = toNumbers(tensor).map((value) => value * scale);
      return [name, tensorOf(tensor.dtype, tensor.shape, values)];
    }),
  );
}

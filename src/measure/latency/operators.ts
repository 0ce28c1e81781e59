/**
 * @file The time of each operator in two networks, matched by the nodes of their graphs: why one of them is slower.
 *
 * ONNX Runtime profiles the graph as it rewrote it: it names a convolution in its blocked layout after the value that it
 * computes, and inserts operators that no file has, such as changes of layout. The former are led back to the node of
 * the file, the latter counted together by their type.
 */
import { type Graph, type Node, producersOf } from "../../ir/graph.ts";
import { openSession, profileNodes, type SessionOptions } from "../../runtime/session.ts";
import type { ModelSource } from "../../runtime/values.ts";
import { requireGoOn } from "../../tensor/steps.ts";
import { type FeedOptions, randomFeeds } from "../inputs/feeds.ts";

/** A network whose operators are timed, and about how long it takes, by which runs are counted. */
export interface ProfiledNetwork {
  readonly graph: Graph;
  readonly source: ModelSource;
  readonly medianMs: number;
}

/** The time of one operator in both networks; 0 where a network does not have it, or computes it as part of another. */
export interface OperatorTimes {
  /** The name of the node in the file, or what ONNX Runtime calls operators that it inserts. */
  readonly name: string;
  readonly opType: string;
  readonly isInserted: boolean;
  /** Inserted operators of one name are counted together; a node of the file counts as 1. */
  readonly count: { readonly before: number; readonly after: number };
  readonly beforeMs: number;
  readonly afterMs: number;
  /** Whether it took longer in each of the profiles, by more than their noise. */
  readonly isSlower: boolean;
}

/** How operators are timed. */
export interface OperatorTimesOptions
  extends FeedOptions,
    Pick<SessionOptions, "providers" | "threads" | "signal"> {
  /** Seconds for both networks together, in which few runs take place where a network is slow; default 1. */
  readonly seconds?: number | undefined;
}

/**
 * The order in which the networks are profiled, twice where that does not take long: of four equal times on each side,
 * all of one side are the longest in 1 of 70 cases.
 */
const turns = ["before", "after", "after", "before"] as const satisfies readonly Side[];
const mostRounds = 2;

type Side = "before" | "after";
const fewestRuns = 3;
const mostRuns = 100;
const warmup = 1;
/** A difference that is a smaller share of the network's time, or of the operator's own, is not told from noise. */
const leastShare = { ofNetwork: 0.005, ofOperator: 0.1 } as const;

/**
 * Times the operators of two networks of the same inputs, in the order of the first one's, then those that only the
 * second has.
 *
 * Errors: `RUNTIME_FAILED`, `DATA_MISMATCH`, `ABORTED`.
 */
export async function operatorTimes(
  before: ProfiledNetwork,
  after: ProfiledNetwork,
  options: OperatorTimesOptions = {},
): Promise<readonly OperatorTimes[]> {
  const { providers, threads, signal, seconds = 1 } = options;
  const how = { providers, threads, signal };
  const session = await openSession(before.source, how);
  const feeds = randomFeeds(session.inputs, options);
  await session.close();
  const profiles: Record<Side, Profile[]> = { before: [], after: [] };
  const turnMs = (seconds * 1000) / (mostRounds * turns.length);
  const isSlow = (fewestRuns + warmup) * Math.max(before.medianMs, after.medianMs) > 2 * turnMs;
  for (const turn of isSlow ? turns : [...turns, ...turns]) {
    const { graph, source, medianMs } = turn === "before" ? before : after;
    const runs = Math.max(fewestRuns, Math.min(mostRuns, Math.floor(turnMs / medianMs)));
    const nodes = await profileNodes(source, feeds, { ...how, runs, warmup });
    requireGoOn(signal);
    profiles[turn].push(profileOf(graph, nodes));
  }
  return compareProfiles(profiles.before, profiles.after);
}

/** The operators that took longer in the second network, the greatest difference first. */
export function slowerOperators(times: readonly OperatorTimes[]): readonly OperatorTimes[] {
  return times
    .filter(({ isSlower }) => isSlower)
    .toSorted((a, b) => b.afterMs - b.beforeMs - (a.afterMs - a.beforeMs));
}

/** What a network spends on its operators, by name. */
export type Profile = ReadonlyMap<string, ProfiledOperator>;

/** One operator of a profile, or all that ONNX Runtime inserted of one type. */
export interface ProfiledOperator {
  readonly opType: string;
  readonly isInserted: boolean;
  readonly count: number;
  readonly ms: number;
}

/** The medians of a profile by the names that both networks have in common. */
export function profileOf(
  graph: Graph,
  times: readonly {
    readonly name: string;
    readonly opType: string;
    readonly medianMs: number;
  }[],
): Profile {
  const nodeOf = nodeFinder(graph);
  const profile = new Map<string, ProfiledOperator>();
  for (const { name, opType, medianMs } of times) {
    const node = nodeOf(name, opType);
    // ONNX Runtime names what it inserts after the type, and numbers it.
    const stem = name.replace(/_token_\d+$/, "");
    const key = node?.name ?? stem;
    const known = profile.get(key);
    profile.set(key, {
      opType: node?.opType ?? opType,
      isInserted: node === undefined,
      count: (known?.count ?? 0) + 1,
      ms: (known?.ms ?? 0) + medianMs,
    });
  }
  return profile;
}

/** What ONNX Runtime appends to the name of a value, for the operator that computes it in blocks of channels. */
const blockedName = /(_bn)?_nchwc(_token_\d+)?$/;
/** Operators that are fused into the one that they follow: an addition, an activation, a normalization. */
const mostFused = 4;

/** Finds the node that an operator of a profile was: by its name, or by the value that it computes. */
function nodeFinder(graph: Graph): (name: string, opType: string) => Node | undefined {
  const byName = new Map(graph.nodes.map((node) => [node.name, node]));
  const producerOf = producersOf(graph);
  const ofType = new Map<string, Set<Node>>();
  for (const node of graph.nodes)
    ofType.set(node.opType, (ofType.get(node.opType) ?? new Set()).add(node));
  const isFound = new Set<Node>();
  /** The nearest node before this one, itself included, of that type: what was fused follows it. */
  const fusedInto = (last: Node, opType: string): Node | undefined => {
    let level: readonly Node[] = [last];
    for (let depth = 0; depth <= mostFused; depth++) {
      const found = level.find((node) => ofType.get(opType)?.has(node) && !isFound.has(node));
      if (found !== undefined) return found;
      level = level.flatMap(({ inputs }) => inputs.flatMap((name) => producerOf.get(name) ?? []));
    }
    return undefined;
  };
  return (name, opType) => {
    const own = byName.get(name);
    const last = own === undefined ? producerOf.get(name.replace(blockedName, "")) : undefined;
    const node = own ?? (last && (fusedInto(last, opType) ?? last));
    if (node !== undefined) isFound.add(node);
    return node;
  };
}

/** The operators of several profiles of two networks side by side; each is given its least time. */
export function compareProfiles(
  before: readonly Profile[],
  after: readonly Profile[],
): readonly OperatorTimes[] {
  const totalMs = Math.min(
    ...before.map((profile) => [...profile.values()].reduce((sum, { ms }) => sum + ms, 0)),
  );
  const names = new Set([...before, ...after].flatMap((profile) => [...profile.keys()]));
  return [...names].map((name) => {
    const [first, second] = [before, after].map((profiles) =>
      profiles.map((profile) => profile.get(name)),
    );
    const ms = (found: readonly (ProfiledOperator | undefined)[]) =>
      found.map((operator) => operator?.ms ?? 0);
    const count = (found: readonly (ProfiledOperator | undefined)[]) =>
      Math.max(...found.map((operator) => operator?.count ?? 0));
    const known = [...first, ...second].find((found) => found !== undefined);
    const beforeMs = Math.min(...ms(first));
    const afterMs = Math.min(...ms(second));
    return {
      name,
      opType: known?.opType ?? "",
      isInserted: known?.isInserted ?? false,
      count: { before: count(first), after: count(second) },
      beforeMs,
      afterMs,
      isSlower:
        afterMs > Math.max(...ms(first)) &&
        afterMs - beforeMs > leastShare.ofNetwork * totalMs &&
        afterMs - beforeMs > leastShare.ofOperator * beforeMs,
    };
  });
}

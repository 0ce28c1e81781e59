/** @file The cost table of this machine: from its cache, with what is missing measured and cached. */
import { cacheCosts, cachedCosts } from "../../files/cost-table-file.ts";
import type { Model } from "../../onnx/model.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import type { SessionOptions } from "../../runtime/session.ts";
import { type CostTable, mergedCosts } from "../../structure/timing/cost-table.ts";
import { type Structure, structureOf } from "../../structure/units/units.ts";
import { requestFor } from "./cost-request.ts";
import { generalNetwork } from "./general-network.ts";
import { type CostRequest, type MeasureOptions, measureCosts } from "./measure-costs.ts";
import { nodeEngine, nodeSource } from "./node-engine.ts";

/** How a table is found. */
export interface MachineCostsOptions extends MeasureOptions {
  readonly threads?: number | undefined;
  readonly providers?: readonly string[] | undefined;
  /** Measures everything anew, whatever the cache holds. */
  readonly isFresh?: boolean | undefined;
}

/** A network whose layers a table must hold. */
export interface CostedNetwork {
  readonly name: string;
  readonly model: Model;
  readonly structure: Structure;
}

/** The network of a table that is for networks in general. */
export function generalCosted(): CostedNetwork {
  const model = readModel(concatBytes(encodeGraph(generalNetwork())));
  return { name: "general", model, structure: structureOf(model.graph) };
}

/**
 * The table of this machine that holds all layers of a network; what its cache lacks is measured, and cached.
 * Fails with `RUNTIME_FAILED`, `PROVIDER_MISSING`, `FILE_UNREADABLE`, `ABORTED`.
 */
export async function machineCosts(
  { name, model, structure }: CostedNetwork,
  options: MachineCostsOptions = {},
): Promise<CostTable> {
  const { threads, providers, signal, isFresh = false } = options;
  const session: SessionOptions = { threads, providers, signal };
  const known = await cachedCosts(nodeSource(session));
  const request = requestFor(name, model, structure, isFresh ? undefined : known);
  if (known !== undefined && isEmpty(request)) return known;
  const measured = await measureCosts(nodeEngine(session), request, options);
  const table = known === undefined ? measured : mergedCosts(known, measured);
  await cacheCosts(table);
  return table;
}

function isEmpty({ layers, others, networks }: CostRequest): boolean {
  return layers.length + others.length + networks.length === 0;
}

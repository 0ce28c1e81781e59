/** @file Mutated models that pass our checks, opened and run by ONNX Runtime in a process of its own. */
import { setTimeout as wait } from "node:timers/promises";
import { EspalierError } from "../../../src/errors.ts";
import { verifyGraph } from "../../../src/ir/verify.ts";
import { randomFeeds } from "../../../src/measure/inputs/feeds.ts";
import { readModel } from "../../../src/onnx/reading/read.ts";
import { concatBytes, writeModel } from "../../../src/onnx/writing/write.ts";
import { inferTypes } from "../../../src/ops/passes/infer.ts";
import type { RuntimeHost } from "../../../src/runtime/host.ts";
import { openSessionOn } from "../../../src/runtime/session.ts";
import type { SessionValue } from "../../../src/runtime/values.ts";
import { startProcess } from "../../../src/runtime/worker-process.ts";
import type { Fuzz } from "./fuzz.ts";
import { mutated } from "./mutate.ts";
import { networkFor } from "./networks.ts";

/** A run is not broken off by ONNX Runtime; its process is, after so long. */
const longestMs = 10_000;

/** Drawing more numbers than this takes longer than all else. */
const mostElements = 2 ** 24;

const isLarge = ({ shape }: SessionValue) =>
  shape.reduce<number>((n, dim) => n * (typeof dim === "number" ? dim : 1), 1) > mostElements;

let host: RuntimeHost | undefined;

export const fuzz: Fuzz = {
  async attempt({ pick }) {
    const model = readModel(mutated(networkFor(pick), pick));
    verifyGraph(model.graph);
    inferTypes(model.graph);
    const bytes = concatBytes(writeModel(model));
    // One process serves many networks; one that crashes it has the next seed begin another.
    if (host === undefined || !host.isAlive()) host = startProcess();
    const current = host;
    const over = new AbortController();
    const late = wait(longestMs, "late" as const, { signal: over.signal }).catch(() => "in time");
    try {
      const outcome = await Promise.race([run(bytes, current), late]);
      if (outcome === "late") await current.terminate();
      return outcome === "late" ? "stopped after 10 s" : outcome;
    } catch (error) {
      if (
        error instanceof EspalierError &&
        error.code === "RUNTIME_FAILED" &&
        error.data.signal !== undefined
      )
        return `a crash: ${error.code}, ${error.data.signal}`;
      throw error;
    } finally {
      over.abort();
    }
  },
};

async function run(bytes: Uint8Array, current: RuntimeHost): Promise<string> {
  for (const optimization of ["disabled", "all"] as const) {
    const session = await openSessionOn(current, bytes, { optimization, threads: 1 });
    if (session.inputs.some(isLarge)) return "opened: inputs too large to be run here";
    await session.run(randomFeeds(session.inputs));
    await session.close();
  }
  return "ok";
}

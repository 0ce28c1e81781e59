/** @file ONNX Runtime in a worker of this process, as an engine to time networks on. */
import { availableParallelism } from "node:os";
import { openSession, type SessionOptions } from "../../runtime/session.ts";
import { versions } from "../../runtime/versions.ts";
import type { CostSource } from "../../structure/timing/cost-table.ts";
import type { TimingEngine } from "./measure-costs.ts";

/** What a table of this machine says of where it comes from. */
export function nodeSource({ providers, threads }: SessionOptions = {}): CostSource {
  const { cpu, platform, onnxruntime } = versions();
  return {
    machine: `${cpu.trim()} (${platform})`,
    engine: `onnxruntime-node ${onnxruntime}`,
    provider: providers?.[0] ?? "cpu",
    threads: threads ?? availableParallelism(),
  };
}

/** The engine. `threads` is all processors by default. */
export function nodeEngine(options: SessionOptions = {}): TimingEngine {
  const source = nodeSource(options);
  const { threads } = source;
  return {
    source,
    async open(model, feeds) {
      const session = await openSession(model, { ...options, threads });
      return {
        time: (runs) => session.time(feeds, { runs, warmup: 1 }),
        close: () => session.close(),
      };
    },
  };
}

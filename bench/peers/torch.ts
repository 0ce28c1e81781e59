/** @file PyTorch as a process that is asked line by line; `peer.py` is its other end. */
import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { z } from "zod";

/** Which Python has PyTorch; Debian's, unless the environment names another. */
const python = process.env.ESPALIER_PYTHON ?? "/usr/bin/python3";

/** What PyTorch answers, by question. */
export const answers = {
  load: z.object({ version: z.string(), threads: z.number(), parameters: z.number() }),
  batches: z.object({ count: z.number() }),
  logits: z.object({}),
  gradients: z.object({ loss: z.number() }),
  train: z.object({ losses: z.array(z.number()) }),
  time: z.object({ times: z.array(z.number()) }),
  begin: z.object({ epochs: z.number() }),
  epoch: z.object({ loss: z.number(), accuracy: z.number() }),
  predict: z.object({ labels: z.array(z.number()), predicted: z.array(z.number()) }),
  memory: z.object({ peak: z.number(), start: z.number() }),
};

/** A running PyTorch. */
export interface Torch {
  /** Asks; `peer.py` lists the questions and what each takes. */
  ask<T>(
    question: string,
    answer: z.ZodType<T>,
    details?: Readonly<Record<string, unknown>>,
  ): Promise<T>;
  close(): void;
  readonly pid: number;
}

/** The version of PyTorch, or why there is none. */
export function torchVersion(): { readonly version: string } | { readonly missing: string } {
  const found = spawnSync(python, ["-c", "import torch; print(torch.__version__)"], {
    encoding: "utf8",
  });
  if (found.status === 0) return { version: found.stdout.trim() };
  const advice =
    "On Debian: apt-get install --no-install-recommends python3-torch libopenblas0-pthread. " +
    "Another Python: set ESPALIER_PYTHON.";
  return { missing: `PyTorch cannot be imported by ${python}. ${advice}` };
}

/** Starts PyTorch with this many threads. */
export function startTorch(threads: number): Torch {
  const peer = spawn(python, [fileURLToPath(new URL("peer.py", import.meta.url))], {
    stdio: ["pipe", "pipe", "inherit"],
    env: {
      ...process.env,
      OMP_NUM_THREADS: String(threads),
      OPENBLAS_NUM_THREADS: String(threads),
      PYTHONDONTWRITEBYTECODE: "1",
    },
  });
  const waiting: {
    readonly resolve: (line: string) => void;
    readonly reject: (e: Error) => void;
  }[] = [];
  createInterface({ input: peer.stdout }).on("line", (line) => waiting.shift()?.resolve(line));
  peer.on("exit", (code) => {
    for (const { reject } of waiting) reject(new Error(`PyTorch ended with code ${code}`));
  });
  return {
    async ask(question, form, details = {}) {
      const line = await new Promise<string>((resolve, reject) => {
        waiting.push({ resolve, reject });
        peer.stdin.write(`${JSON.stringify({ do: question, ...details })}\n`);
      });
      const answer: unknown = JSON.parse(line);
      const failure = z.object({ error: z.string() }).safeParse(answer);
      if (failure.success) throw new Error(`PyTorch, asked for ${question}: ${failure.data.error}`);
      return form.parse(answer);
    },
    close: () => peer.stdin.end(),
    pid: peer.pid ?? 0,
  };
}

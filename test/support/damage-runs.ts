/** @file Damages and forges packs, and keeps the books on how each one ends. */
import { EspalierError } from "../../src/errors.ts";
import { readModel } from "../../src/onnx/reading/read.ts";
import { pack } from "../../src/pack/pack.ts";
import { unpackPieces } from "../../src/pack/unpack.ts";
import { randomOf } from "../../src/tensor/random.ts";
import { residualNetwork } from "../residual-network.ts";
import { damaged, forged, modelWith, randomTensor } from "./packs.ts";

/** How the packs ended. */
export interface DamageReport {
  /** Number of packs by error code, or what is wrong with an invalid one; `ok` for those that still decoded. */
  readonly codes: ReadonlyMap<string, number>;
  /** Errors that are none of ours. */
  readonly untyped: readonly string[];
  /** Damaged packs (their checksums not mended) that decoded to something else without an error. */
  readonly silent: number;
  readonly slowestMs: number;
  /** The largest output of any of them, in bytes. */
  readonly largestBytes: number;
}

/** Packs with every form of coding. */
function subjects(): readonly { readonly bytes: Uint8Array; readonly unpacked: Uint8Array }[] {
  const network = readModel(residualNetwork());
  const mixed = modelWith([
    randomTensor("float32", [20, 30], "clustered", 1),
    randomTensor("int64", [40], "few", 2),
    randomTensor("float64", [9, 9], "noise", 3),
    randomTensor("uint8", [300], "sparse", 4),
    randomTensor("float16", [64], "zero", 5),
  ]);
  return [
    pack(network),
    pack(network, { bits: 3, hasRowSteps: true }),
    pack(network, { codebook: 8 }),
    pack(readModel(mixed), { isLossless: true }),
  ];
}

/** What is wrong with a pack; `untyped` for errors that are none of ours. */
function codeOf(error: unknown): string {
  if (!(error instanceof EspalierError)) return "untyped";
  return error.code === "PACK_INVALID" ? (error.data.reason ?? "no reason") : error.code;
}

/** Damages and forges packs `runs` times; half and half. */
export async function damageRuns(runs: number, seed: number): Promise<DamageReport> {
  const all = subjects();
  const random = randomOf(seed, "damage");
  const pick = (bound: number): number => random.integer(Math.max(1, bound));
  const codes = new Map<string, number>();
  const untyped: string[] = [];
  let silent = 0;
  let slowestMs = 0;
  let largestBytes = 0;
  for (let i = 0; i < runs; i++) {
    const { bytes, unpacked } = all[i % all.length];
    const isForged = pick(2) === 0;
    const broken = isForged ? forged(bytes, pick) : damaged(bytes, pick);
    const start = performance.now();
    let code = "ok";
    let size = 0;
    try {
      const pieces: Uint8Array[] = [];
      for await (const piece of unpackPieces(broken, { maxBytes: 2 ** 26 })) {
        pieces.push(piece);
        size += piece.length;
      }
      if (!isForged && Buffer.compare(Buffer.concat(pieces), unpacked) !== 0) silent++;
    } catch (error) {
      code = codeOf(error);
      if (code === "untyped") untyped.push(String(error));
    }
    slowestMs = Math.max(slowestMs, performance.now() - start);
    largestBytes = Math.max(largestBytes, size);
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  return { codes, untyped, silent, slowestMs, largestBytes };
}

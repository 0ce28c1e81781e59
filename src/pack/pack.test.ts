/** @file Packs: what goes in comes out, exactly where that is promised, and as announced elsewhere. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildProgram, programs } from "../../test/random-graphs.ts";
import { residualNetwork } from "../../test/residual-network.ts";
import { modelWith, randomTensor } from "../../test/support/packs.ts";
import { modelOf } from "../../test/tiny-models.ts";
import { readModel } from "../onnx/reading/read.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { concatBytes } from "../onnx/writing/write.ts";
import { bitsOf, type DType } from "../tensor/dtype.ts";
import { toNumbers } from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
import { type PackedTensor, pack } from "./pack.ts";
import { keepBits } from "./quantising/quantise.ts";
import { unpack } from "./unpack.ts";

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const dtypes = (Object.keys(bitsOf) as DType[]).filter((dtype) => dtype !== "string"); // its own keys
const fillings = ["noise", "sparse", "clustered", "few", "zero", "weights"] as const;

describe("a lossless pack", () => {
  it("gives back random networks byte for byte", async () => {
    await fc.assert(
      fc.asyncProperty(programs(12), async (program) => {
        const bytes = concatBytes(encodeGraph(buildProgram(program)));
        const packed = pack(readModel(bytes), { isLossless: true });
        expect(same(packed.unpacked, bytes)).toBe(true);
        expect(same(await unpack(packed.bytes), bytes)).toBe(true);
      }),
      { numRuns: 100 },
    );
  }, 120_000);

  it("gives back tensors of every element type and pattern byte for byte", async () => {
    const tensor = fc.record({
      dtype: fc.constantFrom(...dtypes),
      shape: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 4 }),
      filling: fc.constantFrom(...fillings),
      seed: fc.nat(1e6),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(tensor, { minLength: 1, maxLength: 6 }), async (drawn) => {
        const bytes = modelWith(
          drawn.map(({ dtype, shape, filling, seed }) => randomTensor(dtype, shape, filling, seed)),
        );
        const packed = pack(readModel(bytes), { isLossless: true });
        expect(same(await unpack(packed.bytes), bytes)).toBe(true);
      }),
      { numRuns: 150 },
    );
  }, 120_000);

  it("gives back a tensor of zeros far larger than its pack, filled up to be plausible", async () => {
    const zeros = randomTensor("int64", [800, 1100], "zero", 0);
    const bytes = modelWith([zeros]);
    const packed = pack(readModel(bytes), { isLossless: true });
    expect(same(await unpack(packed.bytes), bytes)).toBe(true);
    expect(packed.bytesAfter).toBeLessThan(4_000);
  }, 60_000);
});

describe("a lossy pack", () => {
  it("gives back exactly the model that it announces", async () => {
    const options = fc.record({
      bits: fc.integer({ min: 1, max: 14 }),
      lambda: fc.constantFrom(0, 0.05, 1),
      hasRowSteps: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(programs(10), options, async (program, chosen) => {
        const model = readModel(concatBytes(encodeGraph(buildProgram(program))));
        const packed = pack(model, chosen);
        expect(same(await unpack(packed.bytes), packed.unpacked)).toBe(true);
      }),
      { numRuns: 60 },
    );
  }, 120_000);

  it.each([
    { bits: 8, bound: 2 ** -12 },
    { bits: 3.5, bound: 2 ** -8 },
  ])("keeps weights within half a step, and vectors at 4 bits more ($bits bits)", (at) => {
    const model = readModel(residualNetwork());
    const packed = pack(model, { bits: at.bits });
    const after = readModel(packed.unpacked).graph.constants;
    const steps = new Map(packed.tensors.map(({ name, step }) => [name, step]));
    let weights = 0;
    let vectors = 0;
    let worst = 0;
    for (const { name, read, dtype } of model.graph.constants.values()) {
      if (dtype !== "float32") continue;
      const found = after.get(name);
      const got = found ? toNumbers(found.read()) : [];
      const step = steps.get(name);
      for (const [i, x] of toNumbers(read()).entries()) {
        const error = Math.abs(got[i] - x);
        // Rounding to float32 comes on top.
        expect(error).toBeLessThanOrEqual(
          step === undefined ? Math.abs(x) * at.bound : step * 0.5001,
        );
        if (step === undefined && x !== 0) worst = Math.max(worst, error / Math.abs(x));
      }
      if (step !== undefined) weights++;
      else vectors++;
    }
    expect(weights).toBeGreaterThan(3);
    expect(vectors).toBeGreaterThan(3);
    // And not finer than they need be.
    expect(worst).toBeGreaterThan(at.bound / 2);
  });

  it("has a code for the largest weight of every row, however small the row's others are", () => {
    const data = new Float32Array(randomOf(1, "rows").normals(8 * 4608));
    for (let i = 0; i < 4608; i++) data[i] *= 1e-3;
    data[5] = 3;
    const bytes = concatBytes(
      modelOf((b) => {
        b.input("x", "float32", [1, 4608]);
        const weight = b.constant("w", { dtype: "float32", shape: [8, 4608], data });
        b.node("Gemm", ["x", weight], { transB: 1 }, { outputs: ["y"] });
        b.output("y", { dtype: "float32", shape: [1, 8] });
      }),
    );
    const packed = pack(readModel(bytes), { bits: 14, hasRowSteps: true });
    const constant = readModel(packed.unpacked).graph.constants.get("w");
    expect(constant && toNumbers(constant.read())[5]).toBeCloseTo(3, 2);
  });

  it("leaves what is not finite as it is", () => {
    const nan = new Float32Array(Int32Array.of(-1, 0x7fffffff, 0x7fc00000, 0x7f800000).buffer);
    expect([...keepBits(nan, 11)]).toEqual([NaN, NaN, NaN, Infinity]);
  });

  it("tells the density of tensors kept as tables and bit for bit", () => {
    const vector = (of: (i: number) => number) => ({
      dtype: "float32" as const,
      shape: [100],
      data: Float32Array.from({ length: 100 }, (_, i) => of(i)),
    });
    const model = readModel(
      modelWith([vector((i) => 1 + (i % 3)), vector((i) => i && Math.sin(i))]),
    );
    const { tensors } = pack(model, { isLossless: true });
    expect(tensors.map(({ values, density }) => [values, density])).toEqual([
      ["table", 1],
      ["planes", 0.99],
    ]);
  });

  it("packed again without loss stays small: its values are a table", () => {
    const first = pack(readModel(residualNetwork({ width: 32 })), { bits: 6 });
    const again = pack(readModel(first.unpacked), { isLossless: true });
    expect(again.tensors.some(({ values }) => values === "table")).toBe(true);
    expect(again.bytesAfter).toBeLessThan(1.5 * first.bytesAfter);
  });

  it("takes the steps that it is given, and refuses names that it does not know", () => {
    const model = readModel(residualNetwork());
    const [name] = [...model.graph.constants.values()]
      .filter(({ shape }) => shape.length === 4)
      .map((constant) => constant.name);
    const packed = pack(model, { steps: new Map([[name, 0.125]]) });
    const got = readModel(packed.unpacked).graph.constants.get(name);
    const multiples = got ? Array.from(toNumbers(got.read()), (x) => x / 0.125) : [];
    expect(multiples.length).toBeGreaterThan(0);
    expect(multiples.every(Number.isInteger)).toBe(true);
    expect(() => pack(model, { steps: new Map([["no such", 1]]) })).toThrow(/no such/);
    expect(() => pack(model, { bits: 0 })).toThrow(/Bits/);
    expect(() => pack(model, { codebook: 0.5 })).toThrow(/codebook/);
  });

  it("makes steps proportional to what weights tolerate, with the same bits on average", () => {
    const model = readModel(residualNetwork());
    const plain = pack(model, { bits: 6 }).tensors.filter(({ step }) => step !== undefined);
    const [kept, ...named] = plain.map(({ name = "" }) => name);
    const tolerances = new Map(named.map((name, i) => [name, 1e-3 * 2 ** (i % 3)]));
    const guided = pack(model, { bits: 6, tolerances }).tensors;
    const stepsIn = (tensors: readonly PackedTensor[]) =>
      new Map(tensors.map(({ name = "", step = 0 }) => [name, step]));
    const [before, after] = [stepsIn(plain), stepsIn(guided)];
    expect(after.get(kept)).toBe(before.get(kept));
    const factors = named.map((name) => (after.get(name) ?? 0) / (tolerances.get(name) ?? 0));
    // Steps are stored with 8 significant bits.
    for (const factor of factors) expect(Math.abs(factor / factors[0] - 1)).toBeLessThan(2 ** -7);
    const meanLog = (steps: ReadonlyMap<string, number>) => {
      const sizes = plain.map(({ shape, density }) => density * shape.reduce((a, b) => a * b, 1));
      const terms = plain.map(({ name = "" }, i) => sizes[i] * Math.log2(steps.get(name) ?? 0));
      return terms.reduce((a, b) => a + b, 0) / sizes.reduce((a, b) => a + b, 0);
    };
    expect(meanLog(after)).toBeCloseTo(meanLog(before), 1);
    expect(() => pack(model, { tolerances: new Map([["no such", 1]]) })).toThrow(/no such/);
    expect(() => pack(model, { tolerances: new Map([[kept, 0]]) })).toThrow(/tolerates/);
  });

  it("adds up its bytes by part", () => {
    const packed = pack(readModel(residualNetwork()), { codebook: 16 });
    const sum = Object.values(packed.parts).reduce((total, bytes) => total + bytes, 0);
    expect(sum).toBeCloseTo(packed.bytes.length, 6);
    expect(packed.parts.framing).toBeGreaterThan(0);
    expect(packed.ratio).toBeCloseTo(packed.bytesBefore / packed.bytes.length, 10);
  });
});

const models = join(process.env.ESPALIER_DATA ?? "", "models");
const names = process.env.ESPALIER_DATA && existsSync(models) ? readdirSync(models) : [];

describe.skipIf(names.length === 0)(
  "real networks (skipped without ESPALIER_DATA, a folder with models/)",
  () => {
    it.each(names.filter((name) => name.endsWith(".onnx")))(
      "%s comes back",
      async (name) => {
        const bytes = new Uint8Array(readFileSync(join(models, name)));
        const lossless = pack(readModel(bytes), { isLossless: true });
        expect(same(await unpack(lossless.bytes), bytes)).toBe(true);
        expect(lossless.ratio).toBeGreaterThan(1);
        const lossy = pack(readModel(bytes));
        expect(same(await unpack(lossy.bytes), lossy.unpacked)).toBe(true);
        expect(lossy.bytesAfter).toBeLessThanOrEqual(lossless.bytesAfter);
      },
      120_000,
    );
  },
);

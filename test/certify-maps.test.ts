/** @file Certificates of pixel accuracy: counts by hand, images as units, and a verification that sees what was changed. */
import { describe, expect, it } from "vitest";
import { certificateOf, digestOf } from "../src/certify/certificate.ts";
import { prepareCertificate } from "../src/certify/certify.ts";
import { verifyCertificate } from "../src/certify/verify-certificate.ts";
import { openDataset } from "../src/data/dataset.ts";
import { designEffect } from "../src/guard/disagreements/clusters.ts";
import { tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { folderOf, idxFile } from "./data-files.ts";
import { modelOf } from "./tiny-models.ts";

const [count, side] = [120, 6];

/** Says 1 where a pixel is brighter than a threshold. */
function brighterThan(threshold: number) {
  return modelOf((b) => {
    b.input("x", "float32", ["N", 1, side, side]);
    b.constant("w", tensorOf("float32", [2, 1, 1, 1], [-1, 1]));
    b.constant("b", tensorOf("float32", [2], [threshold, -threshold]));
    b.node("Conv", ["x", "w", "b"], {}, { outputs: ["y"] });
    b.output("y", { dtype: "float32", shape: ["N", 2, side, side] });
  });
}

/** Images whose right map is 1 from a brightness of 128 on. */
async function data() {
  const random = randomOf("maps");
  const pixels = Uint8Array.from({ length: count * side * side }, () => random.integer(256));
  const folder = await folderOf({
    "images-idx3-ubyte": idxFile([count, side, side], pixels),
    "labels-idx3-ubyte": idxFile(
      [count, side, side],
      pixels.map((pixel) => (pixel >= 128 ? 1 : 0)),
    ),
  });
  return { pixels, dataset: await openDataset(folder) };
}

async function subjects() {
  const { pixels, dataset } = await data();
  const subject = (path: string, threshold: number) => ({
    path,
    digest: "0".repeat(64),
    source: brighterThan(threshold / 255),
    dataset,
  });
  // The second network is wrong from 128 to 132 alone.
  return { pixels, first: subject("a.onnx", 127.5), second: subject("b.onnx", 132.5) };
}

describe("pixel accuracy", () => {
  it("is judged by the pixels that are lost, with images as units", async () => {
    const { pixels, first, second } = await subjects();
    const { state, answers } = await prepareCertificate(first, second, {
      maxDrop: 0.05,
      procedure: "fixed",
    });
    const size = side * side;
    const lost = Array.from({ length: count }, (_, i) =>
      pixels
        .subarray(i * size, (i + 1) * size)
        .reduce((sum, pixel) => sum + (pixel >= 128 && pixel <= 132 ? 1 : 0), 0),
    );
    const byPosition = [...(state.maps?.lost ?? [])].sort((a, b) => a - b);
    expect(byPosition).toEqual([...lost].sort((a, b) => a - b));
    const certificate = certificateOf(state, answers);
    const total = lost.reduce((sum, one) => sum + one, 0);
    const units = lost.map((one) => ({ size, lost: one, won: 0 }));
    expect(certificate.verdict).toMatchObject({
      status: "certified",
      lost: total,
      won: 0,
      images: count,
    });
    expect(certificate.verdict.looks[0].designEffect).toBeCloseTo(designEffect(units), 10);
    expect(certificate.verdict.looks[0].drop).toBeCloseTo(total / (count * size), 12);
    expect(certificate.words[0]).toContain(
      "b.onnx loses at most 5 points of pixel accuracy against a.onnx",
    );

    const held = { data: first.dataset, networks: { first, second } };
    const verified = await verifyCertificate(certificate, held);
    expect(verified.checks.flatMap(({ problems }) => problems)).toEqual([]);
    const { digest: _, ...content } = certificate;
    const changed = certificateOf(
      { ...state, maps: state.maps && { ...state.maps, lost: lost.map(() => 0) } },
      [],
    );
    expect(digestOf(content)).not.toBe(changed.digest);
    const found = await verifyCertificate(changed, held);
    expect(found.checks.filter(({ passed }) => !passed).map(({ name }) => name)).toEqual([
      "networks",
    ]);
  });

  it("is of one likeliest class", async () => {
    const { first, second } = await subjects();
    await expect(
      prepareCertificate(first, second, { maxDrop: 0.05, top: 2 }),
    ).rejects.toMatchObject({ code: "USAGE" });
  });
});

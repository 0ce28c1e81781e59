/** @file Certificates that were changed after they were drawn up, with a digest that fits the change. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Answer } from "../src/certify/answers.ts";
import { type Certificate, certificateOf, digestOf } from "../src/certify/certificate.ts";
import { prepareCertificate } from "../src/certify/certify.ts";
import type { Subject } from "../src/certify/request.ts";
import {
  type CertificateSources,
  readCertificate,
  verifyCertificate,
} from "../src/certify/verify-certificate.ts";
import { openDataset } from "../src/data/dataset.ts";
import { fileDigest } from "../src/files/file-digest.ts";
import { seenImages, writeSeen } from "./support/certify-fixture.ts";

const images = seenImages(250, { lost: 3, won: 4, neither: 3 });
let folder: string;
let asked: Certificate;
let labelled: Certificate;
let sources: CertificateSources;
let labelledSources: CertificateSources;

async function subject(path: string, data: string): Promise<Subject> {
  return {
    path,
    digest: await fileDigest(path),
    source: { path },
    dataset: await openDataset(data),
  };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-tampering-"));
  const { photos, labelled: withLabels, networks } = await writeSeen(folder, images);
  const bothOn = async (data: string) => ({
    first: await subject(networks[0], data),
    second: await subject(networks[1], data),
  });
  const options = { maxDrop: 0.04, seed: 5 };
  const onPhotos = await bothOn(photos);
  const { state } = await prepareCertificate(onPhotos.first, onPhotos.second, options);
  const answers = state.questions.map(
    ({ id, index }): Answer => ({
      question: id,
      choice: images.labels[index],
      labeller: "Ann",
      source: "person",
    }),
  );
  asked = certificateOf(state, answers);
  sources = { data: onPhotos.first.dataset, networks: onPhotos };
  const onLabelled = await bothOn(withLabels);
  const prepared = await prepareCertificate(onLabelled.first, onLabelled.second, options);
  labelled = certificateOf(prepared.state, prepared.answers);
  labelledSources = { data: onLabelled.first.dataset, networks: onLabelled };
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A change of one place of a list. */
function at<T>(list: readonly T[], place: number, change: (one: T) => T): readonly T[] {
  return list.map((one, i) => (i === place ? change(one) : one));
}

/** The certificate with a digest that fits what it now says. */
function sealed({ digest: _, ...content }: Certificate): Certificate {
  return { ...content, digest: digestOf(content) };
}

/** A certificate of what is now claimed and answered, as `certify` itself would draw it up. */
function drawnUp(
  { request, declaration, questions, maps }: Certificate,
  answers: readonly Answer[],
) {
  return certificateOf({ version: 1, request, declaration, questions, maps }, answers);
}

const zeros = "0".repeat(64);

/** Changes that nothing but the certificate itself is needed for to see them. */
const plain: Readonly<Record<string, (c: Certificate) => Certificate>> = {
  "an answer is flipped": (c) => ({
    ...c,
    answers: at(
      c.answers,
      c.questions.findIndex(({ isDecoy }) => !isDecoy),
      (answer) => ({ ...answer, choice: "unknown" }),
    ),
  }),
  "an answer is dropped": (c) => ({ ...c, answers: c.answers.slice(1) }),
  "an answer is given twice": (c) => ({ ...c, answers: [...c.answers, c.answers[0]] }),
  "an answer is to no question": (c) => ({
    ...c,
    answers: [...c.answers, { ...c.answers[0], question: "q9999" }],
  }),
  "an answer names no class": (c) => ({
    ...c,
    answers: at(c.answers, 0, (a) => ({ ...a, choice: 10 })),
  }),
  "an answer of a person is called a label": (c) => ({
    ...c,
    answers: at(c.answers, 0, (a) => ({ ...a, source: "data" })),
  }),
  "a question is dropped, with its answers": (c) => ({
    ...c,
    questions: c.questions.slice(0, -1),
    answers: c.answers.filter(({ question }) => question !== c.questions.at(-1)?.id),
  }),
  "a question in the middle is dropped": (c) => ({
    ...c,
    questions: c.questions.filter((_, i) => i !== 3),
  }),
  "two questions change places": (c) => ({
    ...c,
    questions: [c.questions[1], c.questions[0], ...c.questions.slice(2)],
  }),
  "a question's image moves in the order": (c) => ({
    ...c,
    questions: at(c.questions, 2, (q) => ({ ...q, position: c.questions[7].position })),
  }),
  "a disagreement is called a decoy": (c) => ({
    ...c,
    questions: at(
      c.questions,
      c.questions.findIndex(({ isDecoy }) => !isDecoy),
      (q) => ({ ...q, isDecoy: true }),
    ),
  }),
  "the networks change places in a question": (c) => ({
    ...c,
    questions: at(
      c.questions,
      c.questions.findIndex(({ isDecoy }) => !isDecoy),
      (q) => ({ ...q, first: q.second, second: q.first }),
    ),
  }),
  "suggestions are put into another order": (c) => ({
    ...c,
    questions: at(c.questions, 0, (q) => ({ ...q, suggestions: [...q.suggestions].reverse() })),
  }),
  "a look is added": (c) => ({
    ...c,
    declaration: {
      ...c.declaration,
      looks: [{ units: 25, samples: 25, level: 0.02 }, ...c.declaration.looks],
    },
  }),
  "the level of a look is raised": (c) => ({
    ...c,
    declaration: {
      ...c.declaration,
      looks: at(c.declaration.looks, 1, (look) => ({ ...look, level: 0.02 })),
    },
  }),
  "the looks are those of another procedure": (c) => ({
    ...c,
    request: { ...c.request, procedure: "fixed" },
    declaration: { ...c.declaration, procedure: "fixed" },
  }),
  "the tolerance is tightened after the fact": (c) => ({
    ...c,
    request: { ...c.request, tolerance: 0.03 },
  }),
  "the level no longer fits the confidence": (c) => ({
    ...c,
    request: { ...c.request, confidence: 0.99 },
  }),
  "the seed is another": (c) => ({ ...c, request: { ...c.request, seed: 6 } }),
  "there are more images": (c) => ({ ...c, request: { ...c.request, images: 2500 } }),
  "decoys are left out": (c) => ({ ...c, request: { ...c.request, decoyShare: 0 } }),
  "the verdict is better": (c) => ({
    ...c,
    verdict: { ...c.verdict, status: "certified", lost: 0 },
  }),
  "more answers may be wrong": (c) => ({
    ...c,
    verdict: { ...c.verdict, wrongAllowed: c.verdict.wrongAllowed + 5 },
  }),
  "the bound of a look is lower": (c) => ({
    ...c,
    verdict: { ...c.verdict, looks: at(c.verdict.looks, 4, (look) => ({ ...look, upper: 0.001 })) },
  }),
  "decoys are said to be right": (c) => ({
    ...c,
    verdict: { ...c.verdict, decoys: { answered: 20, wrong: 0 } },
  }),
  "its sentences promise more": (c) => ({ ...c, words: ["1.onnx loses nothing."] }),
};

/** Changes that hold together, so that the data, the networks or the known digest are needed to see them. */
const consistent: Readonly<Record<string, (c: Certificate) => Certificate>> = {
  "the pictures are others": (c) =>
    drawnUp({ ...c, questions: at(c.questions, 0, (q) => ({ ...q, picture: zeros })) }, c.answers),
  "the samples are others": (c) =>
    drawnUp({ ...c, questions: at(c.questions, 0, (q) => ({ ...q, index: 249 })) }, c.answers),
  "the data are others": (c) =>
    drawnUp(
      { ...c, request: { ...c.request, data: { ...c.request.data, digest: zeros } } },
      c.answers,
    ),
  "the first network is another": (c) =>
    drawnUp(
      {
        ...c,
        request: {
          ...c.request,
          networks: { ...c.request.networks, first: { path: "x.onnx", digest: zeros } },
        },
      },
      c.answers,
    ),
  "a network says something else": (c) =>
    drawnUp(
      {
        ...c,
        questions: at(
          c.questions,
          c.questions.findIndex(({ isDecoy }) => !isDecoy),
          (q) => ({ ...q, first: q.second, second: q.first }),
        ),
      },
      c.answers,
    ),
};

describe("a certificate", () => {
  it("as it was drawn up passes every check", async () => {
    for (const [certificate, held] of [
      [asked, sources],
      [labelled, labelledSources],
    ] as const) {
      const { passed, checks } = await verifyCertificate(certificate, held);
      expect(checks.flatMap(({ problems }) => problems)).toEqual([]);
      expect(passed).toBe(true);
    }
  });

  it("that was changed at all has another digest", async () => {
    const changed = { ...asked, answers: asked.answers.slice(1) };
    const { checks } = await verifyCertificate(changed);
    expect(checks[0]).toMatchObject({ name: "digest", passed: false });
  });

  it.each(Object.keys(plain))("is refused by itself where %s", async (name) => {
    const changed = plain[name](asked);
    expect(changed).not.toEqual(asked);
    const { passed, checks } = await verifyCertificate(sealed(changed));
    expect(checks[0].passed).toBe(true);
    expect(passed).toBe(false);
  });

  it.each(Object.keys(consistent))("is refused by data and networks where %s", async (name) => {
    const { passed, checks } = await verifyCertificate(consistent[name](asked), sources);
    expect(checks[0].passed).toBe(true);
    expect(passed).toBe(false);
  });

  it("with all answers and the verdict made anew is told by its known digest, and by labels of the data", async () => {
    const answers = (c: Certificate) => c.answers.map((answer) => ({ ...answer, choice: 0 }));
    const known = await verifyCertificate(drawnUp(asked, answers(asked)), { digest: asked.digest });
    expect(known.checks.filter(({ passed }) => !passed).map(({ name }) => name)).toEqual([
      "digest",
    ]);
    const held = await verifyCertificate(drawnUp(labelled, answers(labelled)), labelledSources);
    expect(held.checks.filter(({ passed }) => !passed).map(({ name }) => name)).toEqual(["data"]);
  });

  it.each([
    ["no JSON", "{"],
    ["something else", "{}"],
    [
      "a field that certificates do not have",
      JSON.stringify({ kind: "espalier certificate", version: 1, more: 1 }),
    ],
  ])("is none where the file holds %s", async (_, text) => {
    const path = join(folder, "certificate.json");
    await writeFile(path, text);
    await expect(readCertificate(path)).rejects.toMatchObject({ code: "CERTIFICATE_INVALID" });
  });
});

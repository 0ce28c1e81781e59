/** @file `espalier certify`, as a user runs it: from unlabelled images to a certificate, and its verification. */
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Certificate } from "../src/certify/certificate.ts";
import { parseCsv, writeCsv } from "../src/certify/csv.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { type SeenImages, seenImages, writeSeen } from "./support/certify-fixture.ts";

const small = seenImages(600, { lost: 3, won: 4, neither: 3 });

async function certificateIn(folder: string): Promise<Certificate> {
  return JSON.parse(await readFile(join(folder, "certificate.json"), "utf8"));
}

/** Fills in a folder's questions as somebody who knows the labels. */
async function fillIn(folder: string, { labels }: SeenImages, blanks: readonly string[] = []) {
  const state = JSON.parse(await readFile(join(folder, "certify.json"), "utf8"));
  const indices = new Map<string, number>(
    state.questions.map(({ id, index }: { id: string; index: number }) => [id, index]),
  );
  const [head, ...rows] = parseCsv(await readFile(join(folder, "questions.csv"), "utf8"));
  const filled = rows.map((row) => {
    const label = labels[indices.get(row[0]) ?? 0];
    return [...row.slice(0, head.length - 1), blanks.includes(row[0]) ? "" : String(label)];
  });
  const path = join(folder, "filled.csv");
  await writeFile(path, writeCsv([head, ...filled]));
  return path;
}

describe("espalier certify", () => {
  it("gives from the answers on disagreements what it gives from all labels", async () => {
    const root = await emptyFolder();
    const { photos, labelled, networks } = await writeSeen(root, small);
    const [asked, full] = [join(root, "asked"), join(root, "full")];
    const base = [
      "certify",
      ...networks,
      "--max-drop",
      "0.02",
      "--procedure",
      "fixed",
      "--seed",
      "3",
    ];
    const begun = await espalier([...base, "--data", photos, "-o", asked]);
    expect(begun.exitCode, begun.err).toBe(3);
    expect(begun.out).toContain("OPEN");
    expect((await stat(join(asked, "pictures", "q0001.png"))).size).toBeGreaterThan(100);
    // Blind: neither networks nor decoys can be told from the table.
    const table = await readFile(join(asked, "questions.csv"), "utf8");
    expect(table.split("\r\n")[0]).toBe("question,picture,answer");

    const answered = await espalier(["certify", asked, "--labels", await fillIn(asked, small)]);
    expect(answered.exitCode, answered.err).toBe(0);
    expect(answered.out).toContain("1.onnx loses at most 2 points of accuracy against 0.onnx");
    const whole = await espalier([...base, "--data", labelled, "-o", full]);
    expect(whole.exitCode, whole.err).toBe(0);
    const [one, other] = [await certificateIn(asked), await certificateIn(full)];
    expect(one.verdict.looks).toEqual(other.verdict.looks);
    expect(one.verdict).toMatchObject({ disagreements: 10, answered: 10, lost: 3, won: 4 });
    expect(one.questions.filter(({ isDecoy }) => isDecoy)).toHaveLength(2);
    expect(one.verdict.decoys).toEqual({ answered: 2, wrong: 0 });
    expect(other.questions.filter(({ isDecoy }) => isDecoy)).toHaveLength(0);

    const verified = await espalier(["verify", join(asked, "certificate.json"), "--data", photos]);
    expect(verified.exitCode, verified.out + verified.err).toBe(0);
    expect(verified.out).toContain(
      "digest, claim and looks, questions, answers, verdict, data, networks",
    );
    const page = await readFile(join(asked, "certificate.html"), "utf8");
    expect(page).toContain("Certified: at most");
  });

  it("goes on with a folder, refuses another claim in it, and counts what is missing as lost", async () => {
    const root = await emptyFolder();
    const { photos, networks } = await writeSeen(root, small);
    const folder = join(root, "cert");
    const command = ["certify", ...networks, "--data", photos, "--max-drop", "0.02", "-o", folder];
    await espalier(command);
    const half = await fillIn(folder, small, ["q0002", "q0005", "q0007", "q0008", "q0009"]);
    const first = await espalier([...command, "--labels", half, "--json"]);
    const { verdict } = JSON.parse(first.out);
    expect(verdict.unanswered + verdict.answered).toBe(10);
    expect(verdict.unanswered).toBeGreaterThan(0);
    const again = await espalier([...command, "--json"]);
    expect(JSON.parse(again.out).answers).toEqual(JSON.parse(first.out).answers);
    const other = await espalier([...command.slice(0, -4), "--max-drop", "0.03", "-o", folder]);
    expect(other.exitCode).toBe(2);
    expect(other.err).toContain("holds another certification: its tolerance differ");
  });

  it("needs no label where the disagreements alone are few enough", async () => {
    const root = await emptyFolder();
    const images = seenImages(600, { lost: 0, won: 1, neither: 0 });
    const { photos, networks } = await writeSeen(root, images);
    const { exitCode, out } = await espalier([
      "certify",
      ...networks,
      "--data",
      photos,
      "--max-drop",
      "0.03",
    ]);
    expect(exitCode).toBe(0);
    expect(out).toContain("600 images, 1 disagreement, 0 answers");
  });

  it("reuses the answers to earlier questions about the same pictures", async () => {
    const root = await emptyFolder();
    const { seen, ...rest } = small;
    const third = seen[1].map((k, i) => (i % 97 === 0 ? (k + 1) % 10 : k));
    const images = { ...rest, seen: [...seen, third] };
    const { photos, networks } = await writeSeen(root, images);
    const [before, after] = [join(root, "before"), join(root, "after")];
    const [a, b, c] = networks;
    await espalier(["certify", a, b, "--data", photos, "--max-drop", "0.02", "-o", before]);
    await espalier(["certify", before, "--labels", await fillIn(before, images)]);
    const next = [
      "certify",
      a,
      c,
      "--data",
      photos,
      "--max-drop",
      "0.03",
      "-o",
      after,
      "--reuse",
      before,
    ];
    const { err, out } = await espalier([...next, "--json"]);
    const certificate: Certificate = JSON.parse(out);
    const reused = certificate.answers.filter(({ source }) => source === "reused");
    expect(reused.length).toBeGreaterThanOrEqual(9);
    expect(err).toContain(`${reused.length} questions are answered already`);
    for (const { question, choice } of reused) {
      const index = certificate.questions.find(({ id }) => id === question)?.index ?? 0;
      expect(choice).toBe(images.labels[index]);
    }
  });

  it("takes labels by the names of files, and says which answers it cannot read", async () => {
    const root = await emptyFolder();
    const { photos, networks } = await writeSeen(root, small);
    const folder = join(root, "cert");
    await espalier(["certify", ...networks, "--data", photos, "--max-drop", "0.02", "-o", folder]);
    const table = join(root, "answers.csv");
    await writeFile(
      table,
      "question;answer;labeller\nq0001;3;Ann\nq0001;other;Bo\nq9999;1;Ann\nq0002;cat;Ann\n",
    );
    const refused = await espalier(["certify", folder, "--labels", table]);
    expect(refused.exitCode).toBe(2);
    expect(refused.err).toContain("line 4: there is no question q9999; line 5: cat is no class");
    await writeFile(table, "file,label\nq0001.png,3\nq0002.png,unknown\n");
    const read = await espalier(["certify", folder, "--labels", table, "--json"]);
    expect(JSON.parse(read.out).answers).toMatchObject([
      { question: "q0001", choice: 3, labeller: "table" },
      { question: "q0002", choice: "unknown" },
    ]);
  });

  it("groups images, which then count as one", async () => {
    const root = await emptyFolder();
    const { labelled, networks } = await writeSeen(root, small);
    const command = ["certify", ...networks, "--data", labelled, "--max-drop", "0.03", "--json"];
    const alone: Certificate = JSON.parse((await espalier(command)).out);
    expect(alone.request.groups).toBeNull();
    const refused = await espalier([...command, "--group-by", "folder"]);
    expect(refused.exitCode).toBe(2);
    expect(refused.err).toContain("all images are one group");
  });

  it("explains what is missing", async () => {
    const root = await emptyFolder();
    const { photos, networks } = await writeSeen(root, small);
    const [a, b] = networks;
    expect((await espalier(["certify", a, b])).err).toContain("no images were named");
    expect((await espalier(["certify", a])).err).toContain("no second network was named");
    const top = await espalier(["certify", a, b, "--data", photos, "--top", "10"]);
    expect(top.err).toContain("--top is 10, but there are only 10 classes");
  });
});

/** @file The journal of a run: work is done once, whatever happens in between. */
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { z } from "zod";
import { Journal } from "./journal.ts";

async function newPath(): Promise<string> {
  return join(await mkdtemp(join(tmpdir(), "espalier-journal-")), "journal.json");
}

it("does work once, and gives its result to a later session", async () => {
  const path = await newPath();
  let times = 0;
  const work = async () => ({ value: ++times / 3 });
  const schema = z.object({ value: z.number() });
  const first = await (await Journal.open(path)).once("work", schema, work);
  const second = await (await Journal.open(path)).once("work", schema, work);
  expect(first).toEqual({ value: 1 / 3 });
  expect(second).toEqual(first);
  expect(times).toBe(1);
});

it("drops what a piece of work recorded on its way, and keeps it when the work fails", async () => {
  const path = await newPath();
  const journal = await Journal.open(path);
  const part = () => journal.once("round 1/part", z.number(), () => 5);
  await expect(
    journal.once("round 1", z.number(), async () => {
      await part();
      throw new Error("killed");
    }),
  ).rejects.toThrow("killed");
  expect(await readFile(path, "utf8")).toContain("round 1/part");
  await journal.once("round 1", z.number(), part);
  expect(await readFile(path, "utf8")).not.toContain("round 1/part");
});

it("adds up the seconds of all sessions", async () => {
  const path = await newPath();
  for (let session = 1; session <= 3; session++) {
    let now = 1e6;
    const journal = await Journal.open(path, { clock: () => now });
    now += 2000;
    await journal.once(`session ${session}`, z.number(), () => 0);
    expect(journal.seconds).toBe(2 * session);
  }
});

it.each(["", "{", '{"version":2,"seconds":0,"entries":{}}', "[]"])("refuses %j", async (text) => {
  const path = await newPath();
  await writeFile(path, text);
  await expect(Journal.open(path)).rejects.toMatchObject({ code: "RUN_INVALID" });
});

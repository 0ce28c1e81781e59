/** @file What a terminal shows of every command: widths, colours, how much is told. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { displayWidth } from "../src/words/text.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { residualNetwork } from "./residual-network.ts";

const magnitude = ["--method", "magnitude"];

/** A folder with a network in it. */
async function workplace(blocks = 2) {
  const folder = await emptyFolder();
  const net = join(folder, "net.onnx");
  await writeFile(net, residualNetwork({ blocks }));
  return { net, small: join(folder, "small.onnx") };
}

it("explains every command with examples, as wide as the terminal", async () => {
  const { out: overview } = await espalier(["--help"]);
  const commands = [...overview.matchAll(/^ {2}([a-z]+) \[options\]/gm)].map(([, name]) => name);
  expect(commands.length).toBeGreaterThan(13);
  for (const columns of [60, 80, 120])
    for (const argv of [["--help"], ...commands.map((command) => [command, "--help"])]) {
      const { exitCode, out, err } = await espalier(argv, { columns });
      expect([exitCode, err]).toEqual([0, ""]);
      expect(out).toContain(`Examples:\n  espalier ${argv.length > 1 ? argv[0] : ""}`);
      expect(out).toMatch(/--quiet/);
      const long = out.split("\n").filter((line) => displayWidth(line) > columns);
      expect(long).toEqual([]);
    }
});

it("shows results and errors alone when it is to be quiet", async () => {
  const { net, small } = await workplace();
  const argv = ["prune", net, "-o", small, "--macs", "0.05", ...magnitude, "--min-width", "4"];
  const loud = await espalier(argv);
  const quiet = await espalier([...argv, "--quiet"]);
  expect(loud.err).toContain("warning: ");
  expect(quiet.err).toBe("");
  expect(quiet).toMatchObject({ exitCode: loud.exitCode, out: loud.out });
  expect((await espalier(["-q", "inspect", "none.onnx"])).err).toMatch(/^error: /);
  const both = await espalier(["inspect", net, "--quiet", "--verbose"]);
  expect(both).toMatchObject({
    exitCode: 2,
    err: expect.stringContaining("cannot be used with"),
  });
});

it("shows what was decided, and the time of each phase, when it is to be verbose", async () => {
  const { net, small } = await workplace();
  const argv = ["prune", net, "-o", small, "--macs", "0.5", ...magnitude];
  const { err } = await espalier(["--verbose", ...argv]);
  expect(err).toMatch(/^espalier \d.*, Node v/);
  expect(err).toMatch(/^prune: .*--macs 0.5 .*--method magnitude/m);
  expect(err).toMatch(/^channels were ranked by magnitude/m);
  for (const phase of ["reading", "pruning", "verifying", "writing", "total"])
    expect(err).toMatch(new RegExp(`^${phase}: \\d+\\.\\d\\d s$`, "m"));
  expect((await espalier(argv)).err).not.toMatch(/reading/);
});

it("draws nothing live where it prints JSON", async () => {
  const { net } = await workplace();
  expect((await espalier(["inspect", net], { isLive: true })).err).toContain("\r");
  expect((await espalier(["inspect", net, "--json"], { isLive: true })).err).toBe("");
});

it("colours messages and results as it is told", async () => {
  const { net } = await workplace();
  const plain = await espalier(["inspect", "none.onnx", "--no-color"], { hasErrorColor: true });
  expect(plain.err).toMatch(/^error: /);
  const forced = await espalier(["inspect", "none.onnx", "--force-color"]);
  expect(forced.err).toContain("\x1b[1;31merror:\x1b[22;39m Cannot read");
  expect((await espalier(["inspect", net, "--force-color"])).out).toContain("\x1b[1mlayer");
  expect((await espalier(["--help", "--force-color"])).out).toContain("\x1b[1mUsage:");
  expect((await espalier(["shear", "--force-color"])).err).toContain("\x1b[36mhint:\x1b[39m ");
});

it("breaks errors and hints at words where the terminal ends", async () => {
  const { err } = await espalier(["prune", "net.onnx"], { errorColumns: 40 });
  expect(err).toBe(
    "error: no target was given\nhint: Say how much may remain, for\n  example --macs 0.6.\n",
  );
});

it.each([
  [["prun", "net.onnx"], "Did you mean prune?"],
  [["prune", "net.onnx", "--mac", "0.5"], "Did you mean --macs?"],
  [["inspekt"], "Did you mean inspect?"],
])("suggests what %s may have meant", async (argv, suggestion) => {
  const { exitCode, err } = await espalier(argv);
  expect(exitCode).toBe(2);
  expect(err).toContain(`hint: ${suggestion} --help explains the command\n`);
});

it("tells the versions of what it runs on", async () => {
  const { out } = await espalier(["version"]);
  for (const name of ["espalier", "node", "onnxruntime", "platform", "cpu"])
    expect(out).toMatch(new RegExp(`^${name} +\\S`, "m"));
  expect(JSON.parse((await espalier(["version", "--json"])).out)).toMatchObject({
    node: process.version,
    espalier: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
});

it("names the file that is wrong, of several", async () => {
  const { net, small } = await workplace();
  await writeFile(small, "");
  const empty = await espalier(["bench", net, small]);
  expect(empty).toMatchObject({
    exitCode: 2,
    err: expect.stringContaining(`error: ${small}: The file is empty.`),
  });
  await writeFile(small, residualNetwork().subarray(0, 3000));
  const cut = await espalier(["bench", net, small]);
  expect(cut.err).toContain(`error: ${small}: The file is damaged`);
  const esp = await espalier(["unpack", net, "-o", small]);
  expect(esp.err).toContain(`error: ${net}: This is no Espalier pack.`);
});

it.each([
  [["--method", "magnitud"], "Did you mean magnitude? Methods are"],
  [["--method", "magnitude", "--option", "nrom=l2"], "Did you mean norm? Its options are"],
  [
    ["--method", "magnitude", "--option", "norm=L2"],
    "Did you mean l2? The option norm may be l1 or l2.",
  ],
])("suggests a name for a slip of the pen: %s", async (flags, hint) => {
  const { net } = await workplace();
  const { exitCode, err } = await espalier(["prune", net, "--dry-run", "--macs", "0.5", ...flags]);
  expect(exitCode).toBe(2);
  expect(err).toContain(`hint: ${hint}`);
});

it.each([
  [0, "1 more group is unchanged"],
  [1, "2 more groups are unchanged"],
  [2, "3 more groups are unchanged"],
])("counts one thing as one: %i blocks", async (blocks, words) => {
  const { net } = await workplace(blocks);
  const flags = ["--dry-run", "--macs", "0.95", "--only", "stem", ...magnitude];
  const { out } = await espalier(["prune", net, ...flags]);
  expect(out.split("\n")).toContain(words);
});

/** @file A network that crashes ONNX Runtime ends the command in an error, with nothing written. */
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { emptyFolder, espalier, startEspalier } from "./cli-io.ts";
import { crashingNetwork } from "./support/crashing.ts";
import { writeQuadrants } from "./support/quadrants.ts";

/** A folder with a network that crashes as the mode of its Attention says. */
async function workplace(mode?: number) {
  const folder = await emptyFolder();
  const net = join(folder, "net.onnx");
  await writeFile(net, crashingNetwork(mode));
  return { folder, net, small: join(folder, "small.onnx") };
}

const crashed = {
  error: {
    code: "RUNTIME_FAILED",
    message: expect.stringContaining("crashed (signal SIGSEGV)"),
    hint: expect.stringContaining("process of its own"),
    data: { call: expect.any(String), signal: "SIGSEGV", exitCode: null, stderr: "" },
  },
};

describe("a crash of ONNX Runtime ends as RUNTIME_FAILED:", () => {
  it.each([-1, 2 ** 32 - 1, -1 - 2 ** 33])("bench, mode %i", async (mode) => {
    const { net } = await workplace(mode);
    const { exitCode, out } = await espalier(["bench", net, "--runs", "2", "--json"]);
    expect(JSON.parse(out)).toEqual(crashed);
    expect(exitCode).toBe(2);
  });

  it("prune, which writes nothing", async () => {
    const { folder, net, small } = await workplace();
    const argv = ["prune", net, "-o", small, "--macs", "0.5", "--method", "magnitude", "--json"];
    const { exitCode, out } = await espalier(argv);
    expect(JSON.parse(out)).toEqual(crashed);
    expect(exitCode).toBe(2);
    expect(await readdir(folder)).toEqual(["net.onnx"]);
  });

  it("verify", async () => {
    const { folder, net, small } = await workplace();
    // Nothing went: the network itself, with the plan of one that was pruned to all of it.
    const whole = join(folder, "whole.onnx");
    await writeFile(whole, crashingNetwork(0));
    const flags = ["--macs", "1", "--method", "magnitude"];
    expect((await espalier(["prune", whole, "-o", small, ...flags])).exitCode).toBe(0);
    await cp(net, small);
    const { exitCode, out } = await espalier(["verify", net, small, "--json"]);
    expect(JSON.parse(out)).toEqual(crashed);
    expect(exitCode).toBe(2);
  });
});

describe("commands that take --isolate give what they give without it:", () => {
  it("train, also where it is stopped and resumed, and evaluate", async () => {
    const folder = await emptyFolder();
    const data = join(folder, "data");
    await writeQuadrants(data);
    const train = (name: string, ...more: readonly string[]) => [
      ...["train", "lenet-300-100", "--data", data, "-o", join(folder, name), "--epochs", "3"],
      ...["--batch", "20", "--threads", "1", ...more],
    ];
    const modelOf = (name: string) => readFile(join(folder, name, "model.onnx"));
    expect((await espalier(train("thread"))).exitCode).toBe(0);
    expect((await espalier(train("process", "--isolate"))).exitCode).toBe(0);
    const expected = await modelOf("thread");
    expect((await modelOf("process")).equals(expected)).toBe(true);

    const controller = new AbortController();
    let told = "";
    const err = (text: string) => {
      told += text;
      if (told.includes("epoch 1/")) controller.abort();
    };
    const { signal } = controller;
    const stopped = await espalier(train("stopped", "--isolate"), { signal, err });
    expect([stopped.exitCode, told]).toEqual([130, expect.stringContaining("goes on")]);
    // Its state outlived the stop: there is a checkpoint to go on from.
    let resumed = "";
    const { exitCode } = await espalier(["resume", join(folder, "stopped"), "--isolate"], {
      err: (text) => {
        resumed += text;
      },
    });
    expect([exitCode, resumed]).toEqual([0, expect.not.stringContaining("epoch 1/")]);
    expect((await modelOf("stopped")).equals(expected)).toBe(true);

    const evaluate = ["evaluate", join(folder, "thread", "model.onnx"), "--data", data, "--json"];
    const [inThread, inProcess] = [
      await espalier([...evaluate, "--threads", "1"]),
      await espalier([...evaluate, "--threads", "1", "--isolate"]),
    ];
    expect(inProcess.out).toBe(inThread.out);
    expect(JSON.parse(inThread.out).samples).toBe(80);
  }, 60_000);
});

describe("without a process of its own the crash ends the command:", () => {
  /** The signal that ends the command, which is started in the folder. */
  const endOf = async (argv: readonly string[], folder: string) => {
    const child = startEspalier(argv, folder);
    return new Promise((resolve) => child.on("exit", (_, signal) => resolve(signal)));
  };

  it("with --no-isolate", async () => {
    const { folder, net } = await workplace();
    expect(await endOf(["bench", net, "--runs", "2", "--no-isolate"], folder)).toBe("SIGSEGV");
  });

  it("where a configuration says so", async () => {
    const { folder, net } = await workplace();
    const write = (config: unknown) =>
      writeFile(join(folder, "espalier.config.json"), JSON.stringify(config));
    await write({ bench: { isolate: false } });
    expect(await endOf(["bench", net, "--runs", "2"], folder)).toBe("SIGSEGV");
    await write({ bench: { isolate: true } });
    expect(await endOf(["bench", net, "--runs", "2"], folder)).toBe(null);
  });
});

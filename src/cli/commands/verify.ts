/**
 * @file `espalier verify`: checks that a pruned file equals its original, or that the figures of a run follow from its
 * files.
 */
import { Command } from "commander";
import type { Certificate } from "../../certify/certificate.ts";
import { EspalierError } from "../../errors.ts";
import {
  dataFlags,
  dataHeading,
  dataOptionsOf,
  givenDataFlags,
  open,
} from "../options/data-options.ts";
import { addFlags, advanced, asText, type FlagsOf, value } from "../options/flag.ts";
import { inHost, noIsolateFlags } from "../options/isolation.ts";
import {
  isFolder,
  jsonFlags,
  load,
  modelFlags,
  threadsFlags,
  toleranceFlags,
} from "../options/model-options.ts";
import { integerFrom } from "../options/values.ts";
import { exitCodes } from "../terminal/failure.ts";
import { explained } from "../terminal/help.ts";
import { interruptible } from "../terminal/interruptible.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress } from "../terminal/progress.ts";
import {
  describeCertificateVerification,
  describeRunVerification,
  describeVerification,
} from "../texts/verify-report.ts";

/** The flags of `espalier verify`. */
export const flags = {
  "Options:": {
    plan: value("FILE", asText, "The plan with which SMALL was pruned. Default: SMALL.plan.json."),
    data: value(
      "DIR",
      asText,
      "A data set whose images are compared as well; of a certificate, the data that it is about. Default: none.",
    ),
    digest: value(
      "hex",
      asText,
      "The digest under which a certificate became known, which its own must equal. Default: none.",
    ),
    ...toleranceFlags,
    ...modelFlags,
    samples: advanced(
      value("n", integerFrom(1), "Number of random inputs that are compared. Default: 3."),
    ),
    seed: advanced(value("n", integerFrom(0), "Seed of the random inputs. Default: 0.")),
    ...threadsFlags,
    ...noIsolateFlags,
    ...jsonFlags,
  },
  [dataHeading]: dataFlags,
};

/** Flags of `espalier verify`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
With two files: the plan says which channels were removed and which parameters
were changed to compensate. From the plan and ORIGINAL a reference network is built
that has all channels, but reads zeros in place of the removed ones; SMALL must
compute the same, at two optimization levels of ONNX Runtime. The inputs of a
softmax, a sigmoid or a selection of boxes are compared as well. Where outputs do
not depend on the inputs that were tried, the results of the layers are compared.
Differences that rounding causes in the original as well are ignored.

With the folder that \`espalier compress\` made: every round is verified in this way.
The rounds must follow from one another and add up to plan.json and model.onnx. All
figures of report.json that follow from files are computed again: costs, the metric
on test with its confidence intervals, the drop, calibration, classes, and the
verdict of the guard. The data are not needed.

With the certificate that \`espalier certify\` made: the looks are computed again from
the claim, order and suggestions from the seed, the verdict from the answers. With
--data the pictures, and labels if there are any, must be those of the certificate;
the networks that it names are run again where they still are, and must differ on
the same images.

The exit code is 4 if any check fails.

Examples:
  espalier verify net.onnx small.onnx
  espalier verify net.onnx small.onnx --plan other.plan.json
  espalier verify net.onnx small.onnx --data photos --resize 224x224 --json
  espalier verify run
  espalier verify cert/certificate.json --data photos`;

/** The number of samples that are taken from --data. */
const dataSamples = 16;

/** The command. */
export function verifyCommand(io: Io, end: (exitCode: number) => void): Command {
  const command = new Command("verify")
    .argument("<ORIGINAL>", "ONNX file that was pruned, the folder of a run, or a certificate")
    .argument("[SMALL]", "ONNX file that came out")
    .description("Proves that a pruned network equals its original without the removed channels.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(
    async (first: string, small: string | undefined, given: Flags) => {
      const progress = newProgress(io);
      try {
        end(
          await inHost(
            given,
            () =>
              small === undefined
                ? /\.json$/i.test(first)
                  ? verifyCertificateFile(first, given, io, progress)
                  : verifyFolder(first, given, io, progress)
                : verifyPair(first, small, given, io, progress),
            io.signal,
          ),
        );
      } finally {
        progress.end();
      }
    },
  );
}

type Progress = ReturnType<typeof newProgress>;

async function verifyPair(
  original: string,
  small: string,
  flags: Flags,
  io: Io,
  progress: Progress,
): Promise<number> {
  const [given] = givenDataFlags(flags);
  if (given !== undefined && flags.data === undefined)
    throw new EspalierError("USAGE", `${given} is a data flag, but no data was given`, {
      hint: "Add --data DIR.",
    });
  progress.phase("reading");
  const { loadPlan, planPathFor } = await import("../../files/plan-file.ts");
  const [before, after, plan] = await Promise.all([
    load(original, flags),
    load(small, { ...flags, dims: new Map() }),
    loadPlan(flags.plan ?? planPathFor(small)),
  ]);
  const feeds =
    flags.data === undefined
      ? []
      : await (await import("../../measure/inputs/data-feeds.ts")).dataFeeds(
          before.graph,
          await open(flags.data, flags, before),
          { count: dataSamples, signal: io.signal },
        );
  const { verifyByPlan } = await import("../../prune/verify.ts");
  io.signal.throwIfAborted();
  progress.phase("verifying");
  const verification = await interruptible(() =>
    verifyByPlan(before, after, plan, { ...howOf(flags, io), dims: flags.dims, feeds }),
  );
  progress.end();
  if (flags.json) writeJson(io, verification);
  else io.out(describeVerification(verification, io));
  return verification.passed ? exitCodes.done : exitCodes.verificationFailed;
}

async function verifyFolder(
  run: string,
  flags: Flags,
  io: Io,
  progress: Progress,
): Promise<number> {
  if (!(await isFolder(run)))
    throw new EspalierError(
      "USAGE",
      `${run} is not the folder of a run, and no second file was named`,
      {
        hint: "Give ORIGINAL and SMALL, or the folder that `espalier compress` made.",
      },
    );
  const given = [
    ...givenDataFlags(flags),
    ...(flags.data === undefined ? [] : ["--data"]),
    ...(flags.plan === undefined ? [] : ["--plan"]),
    ...(flags.dims.size === 0 ? [] : ["--dims"]),
    ...(flags.externalData ? ["--external-data"] : []),
  ];
  if (given.length > 0)
    throw new EspalierError(
      "USAGE",
      `${given.join(", ")}: cannot be given with the folder of a run`,
      {
        hint: "A run is verified from its own files.",
      },
    );
  const { verifyRun } = await import("../../compress/verify/verify-run.ts");
  progress.phase("verifying");
  const verification = await verifyRun(run, {
    ...howOf(flags, io),
    onCheck: ({ done, total }) => progress.step({ done, total, unit: "checks" }),
  });
  progress.end();
  if (flags.json) writeJson(io, verification);
  else io.out(describeRunVerification(verification, io));
  return verification.passed ? exitCodes.done : exitCodes.verificationFailed;
}

async function verifyCertificateFile(
  path: string,
  flags: Flags,
  io: Io,
  progress: Progress,
): Promise<number> {
  const { readCertificate, verifyCertificate } = await import(
    "../../certify/verify-certificate.ts"
  );
  progress.phase("verifying");
  const certificate = await readCertificate(path);
  const { data, networks } = await sourcesOf(certificate, flags);
  const verification = await verifyCertificate(certificate, {
    digest: flags.digest,
    data,
    networks,
    threads: flags.threads,
    signal: io.signal,
    onPhase: progress.phase,
    onProgress: (done, total) => progress.step({ done, total, unit: "images" }),
  });
  progress.end();
  if (flags.json) {
    const { certificate: _, ...found } = verification;
    writeJson(io, found);
  } else io.out(describeCertificateVerification(verification, io));
  return verification.passed ? exitCodes.done : exitCodes.verificationFailed;
}

/** The data that were given, and the networks where they still lie at their paths. */
async function sourcesOf({ request }: Certificate, flags: Flags) {
  if (flags.data === undefined) return {};
  const path = flags.data;
  const { subjectOf, isThere } = await import("../options/certify-subjects.ts");
  const { options } = request.data;
  const { openDataset } = await import("../../data/dataset.ts");
  const given = { ...options, ...dataOptionsOf(flags) };
  const { first, second } = request.networks;
  const areThere = (await isThere(first.path)) && (await isThere(second.path));
  if (!areThere) return { data: await openDataset(path, given) };
  const networks = {
    first: await subjectOf(first.path, { flags, data: path, options: given }),
    second: await subjectOf(second.path, { flags, data: path, options: given }),
  };
  return { data: networks.first.dataset, networks };
}

/** The settings of the verification that the flags give. */
function howOf({ samples, tolerance, seed, threads }: Flags, { signal }: Io) {
  return {
    signal,
    ...(samples !== undefined && { samples }),
    ...(tolerance !== undefined && { tolerance }),
    ...(seed !== undefined && { seed }),
    ...(threads !== undefined && { threads }),
  };
}

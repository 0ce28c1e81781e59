/** @file `espalier certify`: how much worse one network is than another, from a few labels. */
import { Command } from "commander";
import type { Certificate } from "../../certify/certificate.ts";
import type { CertifyOptions, ImagesNamed, Subject } from "../../certify/request.ts";
import type { Session } from "../../certify/session.ts";
import { splitChoices } from "../../data/splits.ts";
import { EspalierError } from "../../errors.ts";
import { procedures } from "../../guard/disagreements/procedures.ts";
import { escapeForTerminal } from "../../words/text.ts";
import { networkOf, subjectOf } from "../options/certify-subjects.ts";
import { dataFlags, dataHeading, dataOptionsOf } from "../options/data-options.ts";
import {
  addFlags,
  advanced,
  asText,
  choice,
  choiceOr,
  type FlagsOf,
  list,
  value,
} from "../options/flag.ts";
import { inHost, isolateFlags } from "../options/isolation.ts";
import {
  isFolder,
  jsonFlags,
  modelFlags,
  outputNameFlags,
  outputNameOf,
  threadsFlags,
} from "../options/model-options.ts";
import { fractionBelowOne, integerFrom, numberBetween } from "../options/values.ts";
import { exitCodes } from "../terminal/failure.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress, type Progress } from "../terminal/progress.ts";

/** The flags of `espalier certify`. */
export const flags = {
  "Options:": {
    out: value(
      "FOLDER",
      asText,
      "The folder for questions, answers and the certificate; a folder that has them goes on. Default: nothing is written.",
      { short: "-o" },
    ),
    data: value(
      "DIR",
      asText,
      "The images. Default: those of the run, where the first argument is one.",
    ),
    maxDrop: value(
      "share",
      numberBetween(0, 1),
      "Largest drop of accuracy that is to be certified; 0.01 is one point. Default: 0.01.",
    ),
    labels: value(
      "FILE",
      asText,
      "A table of answers (CSV): questions.csv with its last column filled in, or file names and labels. Default: none.",
    ),
    reuse: list(
      "FOLDER",
      asText,
      "Reuses the answers in the folder of an earlier certificate for the same pictures. May be repeated.",
    ),
    groupBy: value(
      "how",
      asText,
      "The images that count as one: `auto` finds near-duplicates, `folder` takes the files of a folder, `none` takes each by itself; all else is a pattern for file names, whose first group names the group. Default: auto.",
    ),
    procedure: choiceOr(
      "name",
      procedures,
      "looks",
      "How answers are judged: at five looks that may end early, at one look at all images, or after every image, for data that still grow. Default: looks.",
    ),
    split: choice(
      "role",
      splitChoices,
      "The samples that are taken. Default: test where the names in the folder say splits, else all.",
    ),
    ...modelFlags,
    confidence: advanced(
      value(
        "share",
        numberBetween(0, 1),
        "Probability that the certificate is right; each end of the interval has half of the rest. Default: 0.95.",
      ),
    ),
    top: advanced(
      value(
        "k",
        integerFrom(1),
        "An answer counts as right among the k likeliest classes. Default: 1.",
      ),
    ),
    decoys: advanced(
      value(
        "share",
        fractionBelowOne,
        "Share of the questions whose answer is known, which tell how often answers are wrong; at most 0.5. Default: 0.15.",
      ),
    ),
    seed: advanced(
      value("n", integerFrom(0), "Seed of the order of images and questions. Default: 0."),
    ),
    limit: advanced(value("n", integerFrom(1), "Takes the first n samples. Default: all.")),
    batch: advanced(value("n", integerFrom(1), "Samples per run. Default: 128.")),
    ...outputNameFlags,
    ...threadsFlags,
    ...isolateFlags,
    ...jsonFlags,
  },
  [dataHeading]: dataFlags,
};

/** Flags of `espalier certify`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
Where two networks give the same class, an image adds nothing to the difference of
their accuracies, whatever its label. So the labels of the images on which they
differ say as much as all labels. \`certify\` runs both networks, finds these images,
and says with 95 % confidence that B loses no more than the tolerance against A, or
what is missing for that. The networks may come from anywhere: B may be pruned,
quantised, distilled or converted. With labels in the data nobody is asked.

With -o the questions are written as a table (questions.csv) with pictures. Answer
them there and give the table with --labels, or in a browser with \`espalier label
FOLDER\`. Some questions are decoys on which both networks agree. They hide which
images differ, and show how often answers are wrong. A disagreement without an answer
counts as lost. The same command goes on with a folder, and so does \`espalier certify
FOLDER\`. Looks, order and questions are fixed before the first answer.

With the folder of a run, A is the network that the run began with and B its result.

The exit code is 3 unless the claim is certified.

Examples:
  espalier certify net.onnx small.onnx --data photos --max-drop 0.01 -o cert
  espalier certify cert --labels cert/questions.csv
  espalier certify net.onnx int8.onnx --data photos -o next --reuse cert
  espalier certify net.onnx small.onnx --data video --group-by folder -o cert
  espalier certify run -o cert`;

/** The command. */
export function certifyCommand(io: Io, end: (exitCode: number) => void): Command {
  const command = new Command("certify")
    .argument("<A>", "ONNX file to compare with, the folder of a run, or a folder of this command")
    .argument("[B]", "ONNX file that may be worse")
    .description(
      "Certifies how much worse B is than A, from labels of the images on which they differ.",
    )
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(
    async (first: string, second: string | undefined, given: Flags) => {
      const progress = newProgress(io);
      try {
        end(await inHost(given, () => run({ first, second, given, io, progress }), io.signal));
      } finally {
        progress.end();
      }
    },
  );
}

/** A call of the command. */
interface Call {
  readonly first: string;
  readonly second: string | undefined;
  readonly given: Flags;
  readonly io: Io;
  readonly progress: Progress;
}

async function run(call: Call): Promise<number> {
  const { first, second, given, io, progress } = call;
  const { openFolder } = await import("../../certify/session.ts");
  const own = second === undefined && (await isFolder(first)) ? await openFolder(first) : undefined;
  const folder = own === undefined ? given.out : first;
  const { session, fileOf } =
    own === undefined ? await begin(call) : { session: own, fileOf: undefined };
  const answered = await withAnswers(session, call, fileOf);
  const certificate = await kept(folder, answered);
  progress.end();
  if (given.json) writeJson(io, certificate);
  else {
    const { describeCertificate } = await import("../texts/certify-report.ts");
    io.out(describeCertificate(certificate, { folder, io }));
  }
  return certificate.verdict.status === "certified" ? exitCodes.done : exitCodes.targetMissed;
}

async function kept(folder: string | undefined, session: Session): Promise<Certificate> {
  if (folder === undefined) {
    const { certificateOf } = await import("../../certify/certificate.ts");
    return certificateOf(session.state, session.answers);
  }
  const { keep } = await import("../../certify/session.ts");
  const certificate = await keep(folder, session);
  if (certificate.verdict.status !== "open") {
    const { writeCertificateHtml } = await import("../../report/write-certificate.ts");
    await writeCertificateHtml(folder, certificate);
  }
  return certificate;
}

/** The answers of the tables and folders that the flags name. */
async function withAnswers(
  session: Session,
  { given, progress }: Call,
  fileOf: ((index: number) => string) | undefined,
): Promise<Session> {
  const { withReused, withTable } = await import("../../certify/session.ts");
  let own = session;
  for (const folder of given.reuse) {
    const { reused, ...more } = await withReused(own, folder);
    progress.note(escapeForTerminal(`${reused} questions are answered already in ${folder}`));
    own = more;
  }
  return given.labels === undefined ? own : withTable(own, given.labels, fileOf);
}

/** What is compared: two files, or what a run began and ended with. */
async function begin(
  call: Call,
): Promise<{ readonly session: Session; readonly fileOf: (index: number) => string }> {
  const { given, progress } = call;
  const { out: folder } = given;
  progress.phase("reading");
  const { first, second, images } = await subjectsOf(call);
  const fileOf = first.dataset.fileOf;
  const { openFolder, beginFolder, requireSameRequest } = await import("../../certify/session.ts");
  const there = folder === undefined ? undefined : await openFolder(folder);
  if (folder !== undefined && there !== undefined) {
    requireSameRequest(folder, there.state.request, {
      tolerance: given.maxDrop ?? defaultDrop,
      procedure: given.procedure,
      networks: {
        first: { path: there.state.request.networks.first.path, digest: first.digest },
        second: { path: there.state.request.networks.second.path, digest: second.digest },
      },
      data: { ...there.state.request.data, digest: await first.dataset.digest() },
    });
    return { session: there, fileOf };
  }
  const { prepareCertificate } = await import("../../certify/certify.ts");
  const prepared = await prepareCertificate(first, second, { ...optionsOf(call), images });
  if (folder === undefined) return { session: prepared, fileOf };
  progress.phase("writing the questions");
  return { session: await beginFolder(folder, prepared, first.dataset), fileOf };
}

const defaultDrop = 0.01;

function optionsOf({ given, io, progress, second }: Call): CertifyOptions {
  return {
    maxDrop: given.maxDrop ?? defaultDrop,
    confidence: given.confidence,
    procedure: given.procedure,
    top: given.top,
    seed: given.seed,
    decoyShare: given.decoys,
    // Of a run, what nothing was chosen by.
    split: given.split ?? (second === undefined && given.data === undefined ? "test" : undefined),
    limit: given.limit,
    batchSize: given.batch,
    output: outputNameOf(given),
    groupBy: given.groupBy,
    threads: given.threads,
    signal: io.signal,
    onPhase: progress.phase,
    onProgress: (done, total) => progress.step({ done, total, unit: "images" }),
  };
}

/** Two networks and the images that both are shown. */
interface Subjects {
  readonly first: Subject;
  readonly second: Subject;
  readonly images: ImagesNamed;
}

async function subjectsOf(call: Call): Promise<Subjects> {
  const { first, second, given } = call;
  if (second === undefined) return subjectsOfRun(call);
  if (given.data === undefined)
    throw new EspalierError("USAGE", "no images were named", { hint: "Give --data DIR." });
  const { data } = given;
  const options = dataOptionsOf(given);
  return {
    first: await subjectOf(first, { flags: given, data, options }),
    second: await subjectOf(second, { flags: given, data, options }),
    images: { path: data, options },
  };
}

async function subjectsOfRun({ first: run, given, progress }: Call): Promise<Subjects> {
  if (!(await isFolder(run)))
    throw new EspalierError("USAGE", `${run} is no folder, and no second network was named`, {
      hint: "Give two ONNX files, the folder of a run, or a folder that this command made.",
    });
  const { readConfig, resultOf, runPaths } = await import("../../runs/folder/run-folder.ts");
  const { openRunData } = await import("../../runs/evaluate-run.ts");
  const result = await resultOf(run);
  const onNote = (note: string) => progress.note(escapeForTerminal(note));
  const dataset = await openRunData(run, {
    data: given.data,
    dataOptions: dataOptionsOf(given),
    onNote,
  });
  const { original } = runPaths(run);
  const { data: own } = await readConfig(run);
  const options = { ...own.options, ...dataOptionsOf(given) };
  return {
    first: { ...(await networkOf(original, given)), dataset },
    second: { ...(await networkOf(result, given)), dataset },
    images: { path: given.data ?? own.path, options },
  };
}

/** @file `espalier label`: a page in the browser to answer the questions of a certification. */
import { Command } from "commander";
import { EspalierError } from "../../errors.ts";
import { counted } from "../../words/numbers.ts";
import { addFlags, type FlagsOf } from "../options/flag.ts";
import { jsonFlags } from "../options/model-options.ts";
import { exitCodes } from "../terminal/failure.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";

/** The flags of `espalier label`. */
export const flags = { "Options:": jsonFlags };

/** Flags of `espalier label`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
FOLDER is one that \`espalier certify -o FOLDER\` made. The page opens at the address
that is printed. It shows one picture at a time, with a button and a key for each
class; more than 20 classes are searched by name, and two are suggested. Each answer
is on disk before the next picture comes. The page shows neither which network said
what, nor which questions are decoys. Several people answer under their names, one
after the other or at once; their agreement is shown as Cohen's kappa.

The server listens on this machine alone, at a port that the system chooses, and
answers only who has the token in the address. End it with Ctrl-C. The certificate
is then drawn up if the answers decide the verdict.

Examples:
  espalier label cert`;

/** The command. */
export function labelCommand(io: Io, end: (exitCode: number) => void): Command {
  const command = new Command("label")
    .argument("<FOLDER>", "folder of a certification")
    .description("Serves a page on this machine to answer the questions of a certification.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(async (folder: string, given: Flags) => {
    end(await run(folder, given, io));
  });
}

async function run(folder: string, { json }: Flags, io: Io): Promise<number> {
  const { openFolder } = await import("../../certify/session.ts");
  const { certifyPaths } = await import("../../certify/folder.ts");
  const { whileLocked } = await import("../../files/lock.ts");
  if ((await openFolder(folder)) === undefined)
    throw new EspalierError("RUN_INVALID", `${folder} holds no certification`, {
      hint: "Make one with `espalier certify A B --data DIR -o FOLDER`.",
      data: { run: folder },
    });
  return whileLocked(certifyPaths(folder).lock, async () => {
    const session = await openFolder(folder);
    if (session === undefined) return exitCodes.userError;
    if (session.state.request.data.isLabelled)
      throw new EspalierError(
        "USAGE",
        `the questions of ${folder} are answered by labels of the data`,
      );
    const { LabelService } = await import("../../label/service.ts");
    const { serveLabels } = await import("../../label/server.ts");
    const service = new LabelService(folder, session);
    const server = await serveLabels(service);
    const questions = counted(session.state.questions.length, "question");
    if (json) writeJson(io, { url: server.url });
    else io.out(`${server.url}\n${questions}; Ctrl-C ends\n`);
    await stopped(io.signal);
    await server.close();
    const certificate = await service.finish();
    const { describeCertificate } = await import("../texts/certify-report.ts");
    if (!json) io.out(`\n${describeCertificate(certificate, { folder, io })}`);
    return certificate.verdict.status === "certified" ? exitCodes.done : exitCodes.targetMissed;
  });
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

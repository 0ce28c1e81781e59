/** @file What `certify` tells a person. */
import { type Certificate, pointsOf } from "../../certify/certificate.ts";
import { counted } from "../../words/numbers.ts";
import { escapeForTerminal, wrap } from "../../words/text.ts";
import type { Io } from "../terminal/io.ts";
import { type Style, styled } from "../terminal/style.ts";
import { drawFacts, drawTable, type Fact } from "../terminal/table.ts";

const headings: Readonly<Record<Certificate["verdict"]["status"], readonly [string, Style]>> = {
  certified: ["CERTIFIED", "success"],
  refused: ["NOT CERTIFIED", "error"],
  open: ["OPEN", "warning"],
};

/** The verdict, the figures behind it, and what to do next. */
export function describeCertificate(
  certificate: Certificate,
  { folder, io }: { readonly folder: string | undefined; readonly io: Io },
): string {
  const { verdict, words, digest } = certificate;
  const [name, style] = headings[verdict.status];
  const sentences = words.map((text) => `${wrap(escapeForTerminal(text), io.columns)}\n`).join("");
  const facts = drawFacts([...factsOf(certificate), ["digest", digest]], io.columns);
  return `${styled(name, style, io.hasColor)}\n${sentences}\n${looksOf(certificate, io)}${facts}${nextOf(certificate, folder, io)}`;
}

function factsOf({ verdict, request }: Certificate): readonly Fact[] {
  const { images, disagreements, answered, lost, won, cannotTell } = verdict;
  const share = ((100 * disagreements) / images).toFixed(2);
  return [
    ["images", String(images)],
    [
      "disagreements",
      `${disagreements} (${share} %): the drop is at most that without a single label`,
    ],
    [
      "answered",
      `${answered}: ${lost} lost, ${won} won, ${answered - lost - won - cannotTell} neither, ${cannotTell} cannot be told`,
    ],
    ...(verdict.decoys.answered === 0
      ? []
      : [
          [
            "decoys",
            `${verdict.decoys.answered} answered, ${verdict.decoys.wrong} otherwise`,
          ] as const,
        ]),
    ...verdict.labellers.map(
      ({ first, second, questions: both, kappa }): Fact => [
        "agreement",
        `${first} and ${second}: kappa ${kappa === null ? "not defined" : kappa.toFixed(2)} on ${counted(both, "question")}`,
      ],
    ),
    [
      "tolerance",
      `${pointsOf(request.tolerance)}, level ${Number(request.level.toPrecision(4))} (${request.procedure})`,
    ],
  ];
}

/** The looks, with the bound of each at its own level. */
function looksOf({ verdict, request }: Certificate, io: Io): string {
  const { looks, wealth } = verdict;
  if (wealth !== null) {
    const needed = 1 / request.level;
    return `wealth of the bets: ${Math.exp(wealth.log).toFixed(1)} after ${counted(wealth.samples, "image")}; ${needed.toFixed(0)} certify\n`;
  }
  return drawTable(
    ["images", "lost", "won", "drop", "at most", "level", ""].map((title) => ({
      title,
      align: "right",
    })),
    looks.map(({ samples, lost, won, drop, upper, level, isPassed }) => [
      String(samples),
      String(Math.round(lost)),
      String(Math.round(won)),
      (100 * drop).toFixed(2),
      (100 * upper).toFixed(2),
      level.toPrecision(3),
      isPassed ? "passed" : "",
    ]),
    io,
  );
}

function nextOf({ verdict }: Certificate, folder: string | undefined, io: Io): string {
  if (verdict.status !== "open") {
    return folder === undefined
      ? ""
      : `certificate  ${escapeForTerminal(folder)}/certificate.html\n`;
  }
  const { unanswered } = verdict;
  const questions = `It takes answers to at most ${counted(unanswered, "more disagreement")}, and to the decoys among them.`;
  const how =
    folder === undefined
      ? "Give -o FOLDER for the questions."
      : `Answer ${folder}/questions.csv and run \`espalier certify ${folder} --labels ${folder}/questions.csv\`.`;
  return `${wrap(escapeForTerminal(`${questions} ${how}`), io.columns)}\n`;
}

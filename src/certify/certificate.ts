/** @file The certificate: the verdict, and everything that it was computed from. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { versions } from "../runtime/versions.ts";
import { counted, inShortPoints } from "../words/numbers.ts";
import type { Answer } from "./answers.ts";
import { type Assessment, assess } from "./assess.ts";
import { orderOfRequest } from "./request.ts";
import {
  answerSchema,
  type CertifyState,
  declarationSchema,
  mapsSchema,
  questionSchema,
  requestSchema,
} from "./state.ts";

const figure = z.number();
const lookSchema = z.strictObject({
  units: z.int(),
  samples: z.int(),
  level: figure,
  lost: figure,
  won: figure,
  designEffect: figure,
  drop: figure,
  upper: figure,
  isPassed: z.boolean(),
});
const verdictSchema = z.strictObject({
  status: z.enum(["certified", "refused", "open"]),
  looks: z.array(lookSchema).readonly(),
  /** The place of the look that decided, from 0; `null` in the procedure `anytime`. */
  decisive: z.int().nonnegative().nullable(),
  wealth: z.strictObject({ log: figure, samples: z.int() }).nullable(),
  images: z.int(),
  disagreements: z.int(),
  answered: z.int(),
  lost: z.int(),
  won: z.int(),
  cannotTell: z.int(),
  unanswered: z.int(),
  decoys: z.strictObject({ answered: z.int(), wrong: z.int() }),
  error: figure,
  tolerance: figure,
  wrongAllowed: z.int(),
  labellers: z
    .array(
      z.strictObject({
        first: z.string(),
        second: z.string(),
        questions: z.int(),
        kappa: figure.nullable(),
      }),
    )
    .readonly(),
});

/** The form of `certificate.json`. */
export const certificateSchema = z.strictObject({
  kind: z.literal("espalier certificate"),
  version: z.literal(1),
  versions: z.record(z.string(), z.string()),
  request: requestSchema,
  declaration: declarationSchema,
  questions: z.array(questionSchema).readonly(),
  answers: z.array(answerSchema).readonly(),
  maps: mapsSchema.nullable(),
  verdict: verdictSchema,
  /** The verdict in sentences. */
  words: z.array(z.string()).readonly(),
  /** SHA-256 of all the above; it stands for the whole certificate. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});

/** The verdict on a claim with all that it rests on. */
export type Certificate = z.output<typeof certificateSchema>;

/** What a certificate says of an assessment. */
export type Verdict = Certificate["verdict"];

/** Draws up the certificate from a certification and its answers. */
export function certificateOf(
  { request, declaration, questions, maps }: CertifyState,
  answers: readonly Answer[],
): Certificate {
  const order = orderOfRequest(request);
  const assessment = assess({ declaration, questions, answers, order, maps });
  const verdict = verdictOf(assessment);
  const content = {
    kind: "espalier certificate",
    version: 1,
    versions: { ...versions() },
    request,
    declaration,
    questions,
    answers,
    maps,
    verdict,
    words: wordsOf({ request, verdict, maps }),
  } as const;
  return { ...content, digest: digestOf(content) };
}

/** The digest of a certificate without its own digest, from its canonical text. */
export function digestOf(content: Omit<Certificate, "digest">): string {
  return createHash("sha256").update(canonical(content)).digest("hex");
}

/** JSON with the keys of objects in order, so that equal contents have equal texts. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** The assessment as a certificate holds it. */
export function verdictOf({ judgement, open, fewestMore, ...figures }: Assessment): Verdict {
  const { looks, decisive, wealth } = judgement;
  const place = decisive === undefined ? -1 : looks.indexOf(decisive);
  return {
    ...figures,
    looks: [...looks],
    decisive: place < 0 ? null : place,
    wealth: wealth === undefined ? null : wealth,
  };
}

/** The verdict in sentences that stand alone; the first says it all. */
export function wordsOf({
  request,
  verdict,
  maps,
}: Pick<Certificate, "request" | "verdict" | "maps">): readonly string[] {
  const { status, images, disagreements, answered, cannotTell, unanswered, wrongAllowed } = verdict;
  const points = pointsOf(request.tolerance);
  const { first, second } = networkNames(request);
  const ofClasses = request.top === 1 ? "accuracy" : `top-${request.top} accuracy`;
  const metric = maps === null ? ofClasses : "pixel accuracy";
  const basis = `${counted(images, "image")}, ${counted(disagreements, "disagreement")}, ${counted(answered, "answer")}`;
  const claim = `${second} loses at most ${points} of ${metric} against ${first} on images like these`;
  const confidence = `${inShortPoints(request.confidence)} % confidence`;
  const words =
    status === "certified"
      ? [`${claim}, with ${confidence}: ${basis}.`]
      : status === "refused"
        ? [`Not certified that ${claim}: ${basis}.`]
        : [`Not certified so far that ${claim}: ${basis}.`];
  if (cannotTell + unanswered > 0 && answered > 0)
    words.push(
      `${counted(cannotTell + unanswered, "disagreement")} without a class (${cannotTell} cannot be told, ${unanswered} not answered) count as lost.`,
    );
  if (status === "certified" && answered > 0)
    words.push(
      `The certificate stands as long as at most ${wrongAllowed} of the answers are wrong.`,
    );
  words.push(...groupWords(request, verdict), ...errorWords(verdict, request.tolerance));
  words.push(
    "This rests on one premise: the images are a random sample of those that the networks will meet.",
  );
  return words;
}

/** The networks by the names of their files; by their paths where the names are the same. */
export function networkNames({ networks }: Certificate["request"]): {
  readonly first: string;
  readonly second: string;
} {
  const [first, second] = [networks.first.path, networks.second.path];
  const nameOf = (path: string) => path.split(/[/\\]/).at(-1) ?? path;
  return nameOf(first) === nameOf(second)
    ? { first, second }
    : { first: nameOf(first), second: nameOf(second) };
}

function groupWords(
  { groups, nearDuplicates }: Certificate["request"],
  { looks, decisive }: Verdict,
): readonly string[] {
  if (groups !== null) {
    const effect = decisive === null ? 1 : looks[decisive].designEffect;
    const count = new Set(groups.ids).size;
    return [
      `The images are ${counted(count, "group")} (${groups.by}); the groups are what counts, and the images say as much as ${effect.toFixed(1)} times fewer of their own.`,
    ];
  }
  return nearDuplicates === 0
    ? []
    : [`${counted(nearDuplicates, "image")} resemble another one, too few to change the verdict.`];
}

function errorWords({ decoys, error, tolerance }: Verdict, claimed: number): readonly string[] {
  if (decoys.answered === 0) return [];
  return [
    `${decoys.wrong} of ${counted(decoys.answered, "decoy")} were answered otherwise than both networks agree; allowing for ${(100 * error).toFixed(1)} % of wrong answers, the drop that is seen has to stay below ${pointsOf(tolerance)} instead of ${pointsOf(claimed)}.`,
  ];
}

/** An amount of accuracy: `1 point`, `0.5 points`. */
export function pointsOf(share: number): string {
  const text = String(Number((100 * share).toPrecision(3)));
  return `${text} ${text === "1" ? "point" : "points"}`;
}

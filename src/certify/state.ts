/** @file What a certification is about, as it is kept in its folder and in its certificate. */
import { z } from "zod";
import { datasetOptions } from "../data/options.ts";
import { splitChoices } from "../data/splits.ts";
import { procedures } from "../guard/disagreements/procedures.ts";
import { answerSources } from "./answers.ts";

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().nonnegative();
const share = z.number().min(0).max(1);
const classList = z.array(count).max(1000).readonly();
const file = z.strictObject({ path: z.string(), digest: hex });

/** The question that was put, with everything that decides how it is answered. */
export const requestSchema = z.strictObject({
  procedure: z.enum(procedures),
  tolerance: z.number().gt(0).lt(1),
  /** Both the test and the interval of its complement have half of what confidence leaves. */
  level: z.number().gt(0).lt(0.5),
  confidence: z.number().gt(0).lt(1),
  /** Right is what is among so many likeliest classes. */
  top: z.int().positive(),
  seed: count,
  decoyShare: z.number().min(0).max(0.5),
  networks: z.strictObject({ first: file, second: file }),
  data: z.strictObject({
    path: z.string(),
    digest: hex,
    split: z.enum(splitChoices),
    limit: z.int().positive().nullable(),
    isLabelled: z.boolean(),
    /** How samples become inputs, as far as the user said it. */
    options: datasetOptions,
  }),
  output: z.string().nullable(),
  classes: z.strictObject({
    count: z.int().min(2),
    names: z.array(z.string()).readonly().nullable(),
  }),
  images: z.int().positive(),
  /** How images were to be grouped. */
  groupBy: z.string(),
  /** Images that resemble another one. */
  nearDuplicates: count,
  /** The group of each image in the order in which they are served; `null` where each counts by itself. */
  groups: z.strictObject({ by: z.string(), ids: z.array(count).readonly() }).nullable(),
});

/** What is declared before any answer is known. */
export const declarationSchema = z.strictObject({
  procedure: z.enum(procedures),
  tolerance: z.number().gt(0).lt(1),
  level: z.number().gt(0).lt(0.5),
  looks: z
    .array(z.strictObject({ units: count, samples: count, level: z.number().gt(0).lt(0.5) }))
    .readonly(),
  largestUnit: z.number().positive(),
  exact: z.strictObject({ rate: share, discordance: share, upTo: share, factor: share }).nullable(),
});

export const questionSchema = z.strictObject({
  id: z.string().regex(/^q\d{4,9}$/),
  position: count,
  index: count,
  picture: hex,
  isDecoy: z.boolean(),
  first: classList,
  second: classList,
  suggestions: classList,
});

export const answerSchema = z.strictObject({
  question: z.string(),
  choice: z.union([count, z.literal("other"), z.literal("unknown")]),
  labeller: z.string().max(200),
  source: z.enum(answerSources),
});

/**
 * Label maps: the pixels of each image, in the order in which images are served, and how many more of them the first network
 * gets right (lost), or the second (won).
 */
export const mapsSchema = z.strictObject({
  sizes: z.array(count).readonly(),
  lost: z.array(count).readonly(),
  won: z.array(count).readonly(),
});

/** A certification in work. */
export const stateSchema = z.strictObject({
  version: z.literal(1),
  request: requestSchema,
  declaration: declarationSchema,
  questions: z.array(questionSchema).readonly(),
  /** `null` where images have one class each. */
  maps: mapsSchema.nullable(),
});

/** What the labels of label maps say of two networks. */
export type MapCounts = z.output<typeof mapsSchema>;

/** What is asked, of which networks and data. */
export type CertifyRequest = z.output<typeof requestSchema>;

/** The request, what was declared for it, and the questions; fixed before the first answer. */
export type CertifyState = z.output<typeof stateSchema>;

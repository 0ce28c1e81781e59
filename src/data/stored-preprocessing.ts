/** @file How samples become inputs, as it is kept in the metadata of a trained model. */
import { z } from "zod";
import { EspalierError } from "../errors.ts";
import {
  type Preprocessing,
  type PreprocessingOptions,
  preprocessingFields,
} from "./preprocessing.ts";

/** The metadata entry, a JSON object. */
export const preprocessingKey = "espalier.preprocessing";
const schema = z.object(preprocessingFields);

/** The metadata entries that keep it. */
export function preprocessingMetadata(how: Preprocessing): ReadonlyMap<string, string> {
  return new Map([[preprocessingKey, JSON.stringify(how)]]);
}

/**
 * What the metadata of a model says about the preprocessing of its inputs; nothing where they say
 * nothing. Fails with `DATA_INVALID` where the entry cannot be understood.
 */
export function storedPreprocessing(metadata: ReadonlyMap<string, string>): PreprocessingOptions {
  const text = metadata.get(preprocessingKey);
  if (text === undefined) return {};
  const parsed = schema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const key = preprocessingKey;
  throw new EspalierError(
    "DATA_INVALID",
    `the model's metadata entry ${key} cannot be understood`,
    {
      hint: "Train the network again, or remove the entry and say with flags how samples become inputs.",
      data: { key, issues: parsed.error.issues.map(({ message }) => message) },
    },
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema refuses it
  }
}

/** @file The options of a data set: those of the caller, and `dataset.json` beside the data. */
import { join } from "node:path";
import { z } from "zod";
import { EspalierError } from "../errors.ts";
import { type Listing, readBytes, reasonOf } from "./files.ts";
import { type PreprocessingOptions, preprocessingFields } from "./preprocessing.ts";
import { type DataFormat, dataFormats, invalid } from "./table.ts";

/** What a caller may say; what is left out comes from `dataset.json`, then from defaults. */
export interface DatasetOptions extends PreprocessingOptions {
  /** Default: recognised by what lies in the folder. */
  readonly format?: DataFormat | undefined;
  /** Seed of the cut into roles. Default 0. */
  readonly splitSeed?: number | undefined;
  /** The network was not trained here: cut `select`, `certify` and `test` from the test file. */
  readonly heldOut?: boolean | undefined;
  /** Names of the classes in the order of their indices, or their number. */
  readonly classes?: readonly string[] | number | undefined;
  /**
   * The value of label-map pixels that do not count. Default 255, but where maps hold 0 and 255 alone:
   * there 255 is class 1.
   */
  readonly ignoreLabel?: number | undefined;
}

/** The border at which options are checked: those of a caller, and those in files. */
export const datasetOptions = z.strictObject({
  ...preprocessingFields,
  format: z.enum(dataFormats).optional(),
  splitSeed: z.int().nonnegative().optional(),
  heldOut: z.boolean().optional(),
  classes: z.array(z.string()).min(1).or(z.int().positive()).optional(),
  ignoreLabel: z.int().nonnegative().optional(),
});

const manifestName = "dataset.json";

/** The caller's options over those of `dataset.json`, both checked. */
export async function readOptions(
  listing: Listing,
  given: DatasetOptions,
): Promise<DatasetOptions> {
  const options = check(given, (what) => {
    return new EspalierError("USAGE", `data set options: ${what}`);
  });
  if (!listing.files.includes(manifestName)) return options;
  const file = join(listing.path, manifestName);
  const manifest = check(await readJson(file), (what) => invalid(file, what));
  return { ...manifest, ...withoutUndefined(options) };
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse((await readBytes(file)).toString("utf8"));
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw invalid(file, `is no JSON (${reasonOf(cause)})`, undefined, cause);
  }
}

function check(value: unknown, fail: (what: string) => EspalierError): DatasetOptions {
  const result = datasetOptions.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join(".")}: ${message}`,
  );
  throw fail(issues.join("; "));
}

function withoutUndefined(options: DatasetOptions): DatasetOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

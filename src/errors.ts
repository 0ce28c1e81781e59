/** @file Everything that a user can cause: typed errors with a stable code, data and a hint. */

/**
 * The stable codes, each with what it means. `docs/errors.md` is generated from this table, so the
 * text here is the documentation.
 */
export const errorCodes = {
  MODEL_TRUNCATED: "The file ends in the middle of a field, or is not protobuf at all.",
  MODEL_NOT_ONNX: "The bytes parse as protobuf, but hold no ONNX graph.",
  MODEL_TOO_LARGE: "The file, a tensor or a count exceeds a limit; nothing was allocated.",
  MODEL_TOO_DEEP: "Subgraphs or types are nested deeper than any real network.",
  MODEL_BAD_TENSOR: "A tensor's dimensions, data type and number of bytes contradict each other.",
  MODEL_BAD_ATTRIBUTE: "An attribute is missing, has the wrong type or an impossible value.",
  MODEL_BAD_GRAPH: "The graph is no graph: a cycle, a name defined twice, or one never defined.",
  MODEL_BAD_SHAPE: "The shapes of an operator's inputs do not fit together.",
  MODEL_UNSUPPORTED: "The model uses something that this command cannot handle exactly.",
  EXTERNAL_DATA_OFF: "The weights lie in another file, and reading it was not allowed.",
  EXTERNAL_DATA_UNSAFE: "The external data leaves the model's folder, or is no regular file there.",
  EXTERNAL_DATA_BAD: "The external data's offset, length or key is not valid for its file.",
  ARCHITECTURE_UNKNOWN: "No network that can be built from nothing has this name.",
  ARCHITECTURE_OPTION: "The network cannot be built with such a size, width or number of classes.",
  METHOD_UNKNOWN: "No pruning method has this name.",
  METHOD_NEEDS_BN: "The method reads batch normalization, and the network has none left.",
  METHOD_NEEDS_DATA: "The method needs data that was not given.",
  TARGET_INVALID: "A target is not a fraction between 0 and 1, or none was given.",
  TARGET_UNREACHABLE: "The target is below what the prunable units can give.",
  PLAN_INVALID: "The plan does not fit the model, or cuts where nothing may be cut.",
  PATTERN_UNMATCHED: "A layer or group pattern matches nothing.",
  PACK_INVALID: "The file is no pack, was cut off or damaged, or is of a later version.",
  PACK_TOO_LARGE: "The pack announces more bytes than are allowed, or than such a pack can hold.",
  DATA_NOT_FOUND: "The folder holds no data set that can be recognised.",
  DATA_INVALID: "A data file is damaged, or disagrees with another.",
  DATA_MISMATCH: "The samples do not fit the network's input.",
  RUNTIME_FAILED: "ONNX Runtime refused the model, failed while running it, or crashed.",
  PROVIDER_MISSING: "The execution provider is not available on this machine.",
  TRAINING_DIVERGED: "A loss, weight or gradient is no longer a finite number.",
  CHECKPOINT_INVALID:
    "A checkpoint, the journal of a run or a file on record there is not as it was written, or is of another run.",
  RUN_NOT_EMPTY: "The folder for a new run is not empty.",
  RUN_BUSY: "Another process is at work on the run.",
  RUN_INVALID:
    "The folder holds no run that could be resumed, a damaged one, or one with links that lead elsewhere.",
  VERIFY_FAILED: "The smaller network does not compute what it must.",
  USAGE: "The command line is wrong.",
  CONFIG_INVALID: "The configuration file cannot be read, or gives what no command takes.",
  FILE_UNREADABLE: "A file cannot be read or written.",
  ABORTED: "The user stopped the work.",
} as const;

/** Stable error code: one of the keys of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes;

/** What an error carries besides its sentence. */
export interface ErrorDetails {
  /** What the user can do about it, as one sentence. */
  readonly hint?: string | undefined;
  /** The facts behind the message (node, tensor, expected, got, ...), for programs. */
  readonly data?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown | undefined;
}

/** The base of all errors that a user's input, data or machine can cause. */
export class EspalierError extends Error {
  override readonly name = "EspalierError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, { cause, hint, data = {} }: ErrorDetails = {}) {
    super(message, cause ? { cause } : {});
    this.code = code;
    this.hint = hint;
    this.data = data;
  }
}

/** `Did you mean NAME? ` where one of the names is a slip of the pen away from a word; else nothing. */
export function didYouMean(word: string, names: readonly string[]): string {
  const [nearest] = names
    .map((name) => ({ name, edits: editsBetween(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, edits }) => edits <= Math.max(1, name.length / 3))
    .sort((a, b) => a.edits - b.edits);
  return nearest === undefined ? "" : `Did you mean ${nearest.name}? `;
}

/** Letters to insert, drop, replace, or swap with their neighbour (Damerau and Levenshtein). */
function editsBetween(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  for (let j = 1; j <= b.length; j++) rows[0][j] = j;
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let edits = Math.min(
        rows[i - 1][j] + 1,
        rows[i][j - 1] + 1,
        rows[i - 1][j - 1] + (isSame ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits = Math.min(edits, rows[i - 2][j - 2] + 1);
      rows[i][j] = edits;
    }
  return rows[a.length][b.length];
}

/** Fails with our own bug: what must hold, whatever the user does. */
export function assert(condition: boolean, whatMustHold: string): asserts condition {
  if (!condition) throw new Error(`espalier bug: ${whatMustHold}`);
}

/** @file Everything that a user can cause: typed errors with a stable code, data and a hint. */

/**
 * The stable codes, each with what it means. `docs/errors.md` is generated from this table, so the
 * text here is the documentation.
 */
export const errorCodes = {
  MODEL_TRUNCATED: "The file ends in the middle of a field, or is not protobuf at all.",
  MODEL_NOT_ONNX: "The bytes are protobuf, but hold no ONNX graph.",
  MODEL_TOO_LARGE: "The file, a tensor or a count exceeds a limit; nothing was allocated.",
  MODEL_TOO_DEEP: "Subgraphs or types are nested deeper than any real network.",
  MODEL_BAD_TENSOR: "A tensor's dimensions, data type and number of bytes contradict each other.",
  MODEL_BAD_ATTRIBUTE: "An attribute is missing, has the wrong type or an impossible value.",
  MODEL_BAD_GRAPH:
    "The graph is not valid: it has a cycle, a name defined twice, or a name never defined.",
  MODEL_BAD_SHAPE: "The shapes of an operator's inputs do not fit together.",
  MODEL_UNSUPPORTED: "The model uses a feature that this command cannot handle exactly.",
  EXTERNAL_DATA_OFF: "The weights lie in another file, and reading it was not allowed.",
  EXTERNAL_DATA_UNSAFE:
    "The external data lies outside the model's folder, or is not a regular file there.",
  EXTERNAL_DATA_BAD: "The external data's offset, length or key is not valid for its file.",
  ARCHITECTURE_UNKNOWN: "No built-in network has this name.",
  ARCHITECTURE_OPTION: "The built-in network cannot have such a size, width or number of classes.",
  METHOD_UNKNOWN: "No pruning method has this name.",
  METHOD_NEEDS_BN: "The method reads batch normalization, which this network does not have.",
  METHOD_NEEDS_DATA: "The method needs data that was not given.",
  TARGET_INVALID: "A target is not a fraction between 0 and 1, or none was given.",
  PLAN_INVALID: "The plan does not fit the model, or removes channels that must stay.",
  COSTS_INVALID: "The file is no cost table, or one with impossible times, widths or sizes.",
  PATTERN_UNMATCHED: "A layer or group pattern matches nothing.",
  PACK_INVALID: "The file is not a pack, was cut off or damaged, or is of a later version.",
  PACK_TOO_LARGE: "The pack announces more bytes than are allowed, or than such a pack can hold.",
  DATA_NOT_FOUND: "The folder holds no data set that can be recognised.",
  DATA_INVALID: "A data file is damaged, or disagrees with another.",
  DATA_MISMATCH: "The samples do not fit the network's input.",
  RUNTIME_FAILED: "ONNX Runtime refused the model, failed while running it, or crashed.",
  PROVIDER_MISSING: "The execution provider is not available on this machine.",
  ANSWERS_INVALID:
    "A table of answers has other columns, questions or classes than those that were asked for.",
  CERTIFICATE_INVALID: "The file is no certificate, or one of another version.",
  TRAINING_DIVERGED: "A loss, weight or gradient is no longer a finite number.",
  CHECKPOINT_INVALID:
    "A checkpoint, the journal of a run or a file that the journal records was changed, or belongs to another run.",
  RUN_NOT_EMPTY: "The folder for a new run is not empty.",
  RUN_BUSY: "Another process is working on the run.",
  RUN_INVALID:
    "The folder holds no run that can be resumed, a damaged run, or a run with links to other places.",
  VERIFY_FAILED: "The smaller network does not compute the same as its reference.",
  USAGE: "The command line is wrong.",
  CONFIG_INVALID:
    "The configuration file cannot be read, or gives a flag or value that no command takes.",
  FILE_UNREADABLE: "A file cannot be read or written.",
  ABORTED: "The user stopped the work.",
} as const;

/** Stable error code: one of the keys of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes;

/** A file that an error is about. */
export interface AboutFile {
  readonly path?: string;
}

/** A node of the graph that an error is about, or several. */
export interface AboutNode extends AboutFile {
  /** Its name. */
  readonly node?: string;
  readonly opType?: string;
  readonly nodes?: readonly string[];
}

/** A tensor of the graph that an error is about. */
export interface AboutTensor extends AboutNode {
  /** Its name. */
  readonly tensor?: string;
  readonly shape?: readonly (number | string)[] | undefined;
}

/** The folder of a run that an error is about. */
export interface AboutRun extends AboutFile {
  readonly run?: string;
}

/** Weights in another file. */
export interface AboutExternalData extends AboutTensor {
  /** The file, as the model states it. */
  readonly location?: string;
}

/** An unknown name, and the names there are. */
export interface AboutName extends AboutFile {
  readonly name?: string;
  readonly names?: readonly string[];
}

/** Images or labels that an error is about. */
export interface AboutData extends AboutFile {
  readonly file?: string;
  readonly format?: string;
}

/** The expected and the found numbers or texts. */
export interface AboutDifference {
  readonly expected?: unknown;
  readonly got?: unknown;
}

/**
 * The facts behind an error, by its code. A fact is present where it is known: the same code may concern a node in one
 * place and a whole file in another.
 */
export interface ErrorData {
  readonly MODEL_TRUNCATED: AboutTensor;
  readonly MODEL_NOT_ONNX: AboutFile;
  readonly MODEL_TOO_LARGE: AboutTensor & {
    readonly input?: string;
    readonly size?: number;
    readonly rank?: number;
  };
  readonly MODEL_TOO_DEEP: AboutNode;
  readonly MODEL_BAD_TENSOR: AboutTensor;
  readonly MODEL_BAD_ATTRIBUTE: AboutNode & {
    readonly attribute?: string;
    readonly value?: string;
  };
  readonly MODEL_BAD_GRAPH: AboutNode & {
    /** Values, and what is wrong with each. */
    readonly offences?: readonly { readonly name: string; readonly problem: string }[];
  };
  readonly MODEL_BAD_SHAPE: AboutTensor;
  readonly MODEL_UNSUPPORTED: AboutTensor & {
    readonly opset?: number;
    /** The index of the node's input. */
    readonly input?: number;
    /** Whether the network can be used at the batch size that its file fixes. */
    readonly fixesBatch?: boolean;
    /** What ONNX Runtime was asked to do, and what it answered. */
    readonly call?: string;
    readonly message?: string;
  };
  readonly EXTERNAL_DATA_OFF: AboutExternalData;
  readonly EXTERNAL_DATA_UNSAFE: AboutExternalData;
  readonly EXTERNAL_DATA_BAD: AboutExternalData & {
    /** The bytes of the tensor, of the span that the model states, and of the file. */
    readonly expected?: number;
    readonly length?: number;
    readonly offset?: number;
    readonly size?: number;
  };
  readonly ARCHITECTURE_UNKNOWN: AboutName;
  readonly ARCHITECTURE_OPTION: AboutFile & {
    readonly architecture?: string;
    readonly options?: object;
  };
  readonly METHOD_UNKNOWN: AboutName;
  readonly METHOD_NEEDS_BN: AboutFile & {
    readonly method?: string;
    readonly alternatives?: readonly string[];
  };
  readonly METHOD_NEEDS_DATA: AboutFile & { readonly method?: string };
  readonly TARGET_INVALID: AboutFile & {
    readonly target?: string;
    /** Layers whose cost is not known. */
    readonly uncounted?: readonly { readonly name: string; readonly operator: string }[];
  };
  readonly PLAN_INVALID: AboutTensor & { readonly faults?: readonly string[] };
  readonly COSTS_INVALID: AboutFile & { readonly faults?: readonly string[] };
  readonly PATTERN_UNMATCHED: AboutFile & {
    readonly pattern?: string;
    readonly known?: readonly string[];
  };
  readonly PACK_INVALID: AboutFile & {
    /** The fault of the pack: see `PackFault`. */
    readonly reason?: "NOT_A_PACK" | "UNKNOWN_VERSION" | "TRUNCATED" | "DAMAGED";
  };
  readonly PACK_TOO_LARGE: AboutFile;
  readonly DATA_NOT_FOUND: AboutData & {
    readonly role?: string;
    /** The number of samples there are. */
    readonly count?: number;
    /** The contents that the folder has instead. */
    readonly files?: readonly string[];
    readonly folders?: readonly string[];
  };
  readonly DATA_INVALID: AboutData &
    AboutDifference & {
      readonly sample?: number;
      /** Formats that were recognised. */
      readonly found?: readonly string[];
      /** An entry of the model's metadata, and its fault. */
      readonly key?: string;
      readonly issues?: readonly string[];
    };
  readonly DATA_MISMATCH: AboutData &
    AboutDifference & {
      readonly output?: string;
      /** The outputs that there are, with their shapes. */
      readonly outputs?: string;
      /** Outputs that the other network lacks. */
      readonly missing?: readonly string[];
      readonly input?: string;
      /** The position of the size, and its name. */
      readonly axis?: number;
      readonly dim?: string;
      /** The batch size that the network fixes, and the one that was asked for. */
      readonly fixed?: number;
      readonly asked?: number;
      readonly sample?: number;
      /** The number of samples in the batch, and the shape of each. */
      readonly samples?: number;
      readonly sampleShape?: readonly number[];
    };
  readonly RUNTIME_FAILED: AboutFile & {
    /** What ONNX Runtime was asked to do, and what it answered. */
    readonly call?: string | undefined;
    readonly message?: string;
    /** The output that has a value that is not a number, and the sample for which it has it. */
    readonly output?: string;
    readonly sample?: number;
    /** The end of its process, where ONNX Runtime crashed. */
    readonly signal?: string | null;
    readonly exitCode?: number | null;
    readonly stderr?: string;
  };
  readonly PROVIDER_MISSING: AboutFile & {
    readonly provider?: string;
    readonly available?: readonly string[];
  };
  readonly ANSWERS_INVALID: AboutFile & { readonly issues?: readonly string[] };
  readonly CERTIFICATE_INVALID: AboutFile & { readonly issues?: readonly string[] };
  readonly TRAINING_DIVERGED: AboutTensor & { readonly epoch?: number; readonly step?: number };
  readonly CHECKPOINT_INVALID: AboutRun & AboutDifference;
  readonly RUN_NOT_EMPTY: AboutRun;
  readonly RUN_BUSY: AboutRun & { readonly pid?: number; readonly host?: string };
  readonly RUN_INVALID: AboutRun & {
    /** The bytes of a file of the run, or the kind of thing that stands there instead of a plain file. */
    readonly size?: number;
    readonly kind?: string;
    readonly method?: string;
    readonly issues?: readonly string[] | undefined;
  };
  readonly VERIFY_FAILED: AboutFile & {
    readonly round?: number;
    readonly maxError?: number;
    /** The comparisons and their results. */
    readonly checks?: readonly object[];
    /** The error of ONNX Runtime about the smaller network. */
    readonly problem?: string;
  };
  readonly USAGE: AboutFile & {
    /** Options that nothing reads. */
    readonly options?: readonly string[];
    readonly option?: string;
    readonly value?: string;
    /** The least value of the option. */
    readonly least?: number;
    readonly method?: string;
    /** A weight tensor, and the value that the settings give there. */
    readonly weight?: string;
    readonly density?: number;
    readonly contrast?: number;
    readonly leastDensity?: number;
    /** The metric and objective with which the run was begun, and those of now. */
    readonly begun?: object;
    readonly now?: object;
    readonly known?: readonly string[];
    readonly unknown?: readonly string[];
  };
  readonly CONFIG_INVALID: AboutFile & { readonly file?: string };
  readonly FILE_UNREADABLE: AboutFile & {
    /** The system's code, such as `ENOENT`. */
    readonly code?: string | undefined;
    readonly size?: number;
  };
  readonly ABORTED: AboutRun & { readonly step?: number };
}

/** The facts and the hint of an error, besides its message. */
export interface ErrorDetails<C extends ErrorCode = ErrorCode> {
  /** Advice for the user, as one sentence. */
  readonly hint?: string | undefined;
  /** The facts behind the message (node, tensor, expected, got, ...), for programs. */
  readonly data?: ErrorData[C] | undefined;
  readonly cause?: unknown | undefined;
}

/** An error of the library, told apart by its `code`, which says what `data` may hold. */
export type AnyEspalierError = { [C in ErrorCode]: EspalierError<C> }[ErrorCode];

/**
 * The class of all errors that a user's input, data or machine can cause. After `instanceof`, comparing
 * `code` tells what `data` may hold.
 */
export class EspalierError<C extends ErrorCode = ErrorCode> extends Error {
  declare static readonly [Symbol.hasInstance]: (value: unknown) => value is AnyEspalierError;
  override readonly name = "EspalierError";
  readonly code: C;
  readonly hint: string | undefined;
  readonly data: ErrorData[C];

  constructor(code: C, message: string, { cause, hint, data = {} }: ErrorDetails<C> = {}) {
    super(message, cause ? { cause } : {});
    this.code = code;
    this.hint = hint;
    this.data = data;
  }
}

/** `Did you mean NAME? ` where one of the names differs from a word by a typing error; else an empty text. */
export function didYouMean(word: string, names: readonly string[]): string {
  const [nearest] = names
    .map((name) => ({ name, edits: editsBetween(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, edits }) => edits <= Math.max(1, name.length / 3))
    .sort((a, b) => a.edits - b.edits);
  return nearest === undefined ? "" : `Did you mean ${nearest.name}? `;
}

/** The number of letters to insert, drop, replace, or swap with their neighbour (Damerau and Levenshtein). */
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

/** Throws an error about a bug of ours where a condition that must always hold is false. */
export function assert(condition: boolean, whatMustHold: string): asserts condition {
  if (!condition) throw new Error(`espalier bug: ${whatMustHold}`);
}

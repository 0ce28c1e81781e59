/** @file Errors of the file system in words, with advice. */
import { EspalierError } from "../errors.ts";

interface Reason {
  readonly why: string;
  readonly hint?: string;
}

const reasons: Readonly<Record<string, Reason>> = {
  ENOENT: { why: "no such file or folder" },
  ENOTDIR: { why: "a part of the path is a file, not a folder" },
  EISDIR: { why: "it is a folder, not a file" },
  EEXIST: { why: "there is something of this name already" },
  EACCES: { why: "permission denied", hint: "Change its permissions, or choose another place." },
  EPERM: { why: "not permitted", hint: "Change its permissions, or choose another place." },
  EROFS: {
    why: "the file system can only be read",
    hint: "Choose a place that can be written to, or copy the folder to one.",
  },
  ENOSPC: { why: "the disk is full", hint: "Make room, or choose another disk." },
  EDQUOT: { why: "your share of the disk is used up", hint: "Make room, or choose another disk." },
  EFBIG: { why: "it is too large for this file system", hint: "Choose another disk." },
  ENAMETOOLONG: { why: "the name is too long", hint: "Choose a shorter one." },
  ELOOP: {
    why: "it is a symbolic link, or lies behind too many of them",
    hint: "Name the file itself.",
  },
  ENXIO: { why: "it is a pipe or a device, not a file" },
  EINVAL: { why: "it is of a kind that cannot be used so" },
  EBUSY: { why: "the system is using it", hint: "Try again when it is free." },
  ETXTBSY: { why: "the system is using it", hint: "Try again when it is free." },
  EMFILE: { why: "too many files are open", hint: "Raise the limit (ulimit -n)." },
  ENFILE: { why: "too many files are open", hint: "Close other programs." },
  EIO: { why: "the disk reports an error", hint: "Check the disk, and copy what can be read." },
};

/** The code that the system gave, such as `ENOENT`; `undefined` for any other error. */
export function systemCode(cause: unknown): string | undefined {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/**
 * `FILE_UNREADABLE`: "Cannot `doing`: why." An `EspalierError` is given back as it is.
 *
 * @param hint What can be done, where the system's reason has no advice of its own.
 */
export function fileError(
  doing: string,
  path: string,
  cause: unknown,
  hint?: string,
): EspalierError {
  if (cause instanceof EspalierError) return cause;
  const code = systemCode(cause);
  const known = code === undefined ? undefined : reasons[code];
  const why = known?.why ?? code ?? (cause instanceof Error ? cause.message : String(cause));
  return new EspalierError("FILE_UNREADABLE", `Cannot ${doing}: ${why}.`, {
    hint: known?.hint ?? hint,
    data: { path, code },
    cause,
  });
}

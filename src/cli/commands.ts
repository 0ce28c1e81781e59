/** @file The commands, from which the command line and the type of a configuration follow. */
import { flags as bench, benchCommand } from "./commands/bench.ts";
import { flags as certify, certifyCommand } from "./commands/certify.ts";
import { flags as compress, compressCommand } from "./commands/compress.ts";
import { flags as evaluate, evaluateCommand } from "./commands/evaluate.ts";
import { flags as inspect, inspectCommand } from "./commands/inspect.ts";
import { flags as label, labelCommand } from "./commands/label.ts";
import { flags as methods, methodsCommand } from "./commands/methods.ts";
import { flags as pack, packCommand } from "./commands/pack.ts";
import { flags as profile, profileCommand } from "./commands/profile.ts";
import { pruneCommand } from "./commands/prune.ts";
import { flags as prune } from "./commands/prune-flags.ts";
import { flags as report, reportCommand } from "./commands/report.ts";
import { flags as resume, resumeCommand } from "./commands/resume.ts";
import { flags as sensitivity, sensitivityCommand } from "./commands/sensitivity.ts";
import { flags as train, trainCommand } from "./commands/train.ts";
import { flags as unpack, unpackCommand } from "./commands/unpack.ts";
import { flags as verify, verifyCommand } from "./commands/verify.ts";
import { flags as version, versionCommand } from "./commands/version.ts";

/**
 * The commands in the order of the help: how each is built, its flags, and which of its flags a configuration may set.
 *
 * - `code`: a file with code may give flags, because the command works on the user's own files;
 * - `data`: only a file without code may give flags, because the command reads files that may come from anybody;
 * - `none`: no file gives flags, because `--json` is the only flag.
 */
export const commands = {
  inspect: { define: inspectCommand, flags: inspect, config: "data" },
  prune: { define: pruneCommand, flags: prune, config: "code" },
  verify: { define: verifyCommand, flags: verify, config: "data" },
  evaluate: { define: evaluateCommand, flags: evaluate, config: "code" },
  certify: { define: certifyCommand, flags: certify, config: "code" },
  label: { define: labelCommand, flags: label, config: "none" },
  train: { define: trainCommand, flags: train, config: "code" },
  compress: { define: compressCommand, flags: compress, config: "code" },
  resume: { define: resumeCommand, flags: resume, config: "data" },
  report: { define: reportCommand, flags: report, config: "none" },
  pack: { define: packCommand, flags: pack, config: "code" },
  unpack: { define: unpackCommand, flags: unpack, config: "data" },
  bench: { define: benchCommand, flags: bench, config: "code" },
  profile: { define: profileCommand, flags: profile, config: "code" },
  sensitivity: { define: sensitivityCommand, flags: sensitivity, config: "code" },
  methods: { define: methodsCommand, flags: methods, config: "none" },
  version: { define: versionCommand, flags: version, config: "none" },
} as const;

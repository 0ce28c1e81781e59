/** @file The registry of methods: the CLI, the docs and the conformance tests go by it. */
import { EspalierError } from "../errors.ts";
import { bn } from "./bn.ts";
import { fpgm } from "./fpgm.ts";
import { magnitude } from "./magnitude.ts";
import type { Method } from "./method.ts";
import { random } from "./random.ts";

/** All methods, in the order in which they are listed to users. */
export const methods: readonly Method[] = [bn, magnitude, fpgm, random];

/** The method of a name; `METHOD_UNKNOWN` lists the names there are. */
export function methodNamed(name: string): Method {
  const method = methods.find((candidate) => candidate.name === name);
  if (method !== undefined) return method;
  const names = methods.map((candidate) => candidate.name);
  throw new EspalierError("METHOD_UNKNOWN", `there is no method "${name}"`, {
    hint: `Methods are ${names.join(", ")}; \`espalier methods\` describes them.`,
    data: { name, names },
  });
}

/** @file The fields that `data` of an error may hold, read from the types in src/errors.ts. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { assert, type ErrorCode, errorCodes } from "../src/errors.ts";

/** A field of `data`, with its type as TypeScript writes it. */
export interface ErrorField {
  readonly name: string;
  readonly type: string;
}

/** The fields by code, those that several codes share first. */
export function errorFields(): ReadonlyMap<ErrorCode, readonly ErrorField[]> {
  const source = readFileSync(resolve(import.meta.dirname, "../src/errors.ts"), "utf8");
  const bodies = new Map(
    [...source.matchAll(/^export interface (\w+)([^{]*)\{\n(.*?)^\}/gms)].map(
      ([, name, above, body]) => [name, `${above}\n${body}`],
    ),
  );
  const fieldsIn = (text: string): readonly ErrorField[] => [
    ...[...text.matchAll(/\bAbout\w+/g)].flatMap(([name]) => fieldsIn(bodies.get(name) ?? "")),
    // A type ends with its line or its body; braces in it are those of a type of its own.
    ...[...text.matchAll(/readonly (\w+)\?: ((?:\{[^{}]*\}|[^;{}])+)/g)].map(([, name, type]) => ({
      name,
      type: plain(type),
    })),
  ];
  const rows = (bodies.get("ErrorData") ?? "").split(/^ {2}readonly (?=[A-Z_]+: )/m).slice(1);
  const byName = new Map(rows.map((row) => [row.slice(0, row.indexOf(":")), row]));
  return new Map(
    codes().map((code) => {
      const row = byName.get(code);
      assert(row !== undefined, `the types of src/errors.ts say what ${code} holds`);
      return [code, fieldsIn(row)];
    }),
  );
}

function codes(): readonly ErrorCode[] {
  const isCode = (text: string): text is ErrorCode => Object.hasOwn(errorCodes, text);
  return Object.keys(errorCodes).filter(isCode);
}

/** A type without what says that it is not to be written to, or may be missing. */
function plain(type: string): string {
  return type
    .trim()
    .replaceAll("readonly ", "")
    .replace(/ \| undefined$/, "");
}

/**
 * @file Flags by the options of the library that they set. The library's errors, warnings and notes name options, as ``
 * `maxDrop` ``; on the command line the message names the flag instead.
 */

const flagOf: Readonly<Record<string, string>> = {
  bytes: "--bytes",
  color: "--color",
  crop: "--crop",
  decoys: "--decoys",
  density: "--density",
  dims: "--dims",
  distills: "--distill",
  except: "--except",
  externalData: "--external-data",
  format: "--format",
  heldOut: "--held-out",
  ignoreLabel: "--ignore-label",
  keepsZeros: "--keep-zeros",
  labelSmoothing: "--label-smoothing",
  latency: "--latency",
  layout: "--layout",
  macs: "--macs",
  maxBytes: "--max-bytes",
  maxDrop: "--max-drop",
  mean: "--mean",
  momentum: "--momentum",
  output: "--output-name",
  params: "--params",
  rate: "--option rate=...",
  resize: "--resize",
  reuse: "--reuse",
  scale: "--scale",
  std: "--std",
  top: "--top",
  temperature: "--temperature",
  width: "--base-width",
};

/** What the library found out, its warnings with the flags of the command line in place of its options. */
export function warningsInFlags<T extends { readonly warnings: readonly string[] }>(found: T): T {
  return { ...found, warnings: found.warnings.map(inFlags) };
}

/** A message of the library with the flags of the command line in place of its options. */
export function inFlags(message: string): string {
  return message.replaceAll(/`(\w+)`/g, (quoted, option: string) =>
    Object.hasOwn(flagOf, option) ? flagOf[option] : quoted,
  );
}

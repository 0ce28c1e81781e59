/** @file Numbers and units as people read them, in a terminal, in a file and on a page. */

/** A share in [0, 1], in percent: `92.9 %`. */
export function inPercent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** A metric or a drop of it, in points of a hundredth each: `1.20`. */
export function inPoints(value: number): string {
  return (100 * value).toFixed(2);
}

/** As {@link inPoints}, without trailing zeros: `1.2`. */
export function inShortPoints(value: number): string {
  return String(Number(inPoints(value)));
}

/** A whole number with separators: `853,018`. */
export function formatInteger(value: number): string {
  // Not toLocaleString, which loads its tables for 20 ms.
  return String(Math.round(value)).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

/** A counted noun: `1 image`, `1,500 images`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatInteger(count)} ${count === 1 ? noun : plural}`;
}

/** A number in three digits and a unit of thousands: `126 M`, `853 K`, `0`. */
export function formatCount(value: number): string {
  return withUnit(value, ["", "K", "M", "G", "T"]);
}

/** A number of bytes in units of a thousand: `3.49 MB`. */
export function formatBytes(value: number): string {
  return withUnit(value, ["B", "kB", "MB", "GB", "TB"]);
}

function withUnit(value: number, units: readonly string[]): string {
  let step = 0;
  let rest = value;
  while (rest >= 999.5 && step < units.length - 1) {
    rest /= 1000;
    step++;
  }
  const number = step === 0 ? String(Math.round(rest)) : rest.toPrecision(3);
  return `${number} ${units[step]}`.trimEnd();
}

/** Milliseconds with three digits: `2.41 ms`, `0.0031 ms`. */
export function formatMs(ms: number): string {
  return `${ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3)} ms`;
}

/** Seconds as `7 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** A very small or large number: `3.1e-7`; 0 as `0`. */
export function formatScientific(value: number): string {
  return value === 0 ? "0" : value.toExponential(1);
}

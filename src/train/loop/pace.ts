/** @file How fast a training run goes, for what is told of its progress. */

/** Measures steps and evaluations by a clock that shows milliseconds. */
export class Pace {
  readonly #clock: () => number;
  #steps = 0;
  #seconds = 0;
  /** When the last step ended. */
  #last = 0;
  #evaluation = 0;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Steps begin now. */
  begin(): void {
    this.#last = this.#clock();
  }

  /** A step has ended. */
  countStep(): void {
    const now = this.#clock();
    this.#steps++;
    this.#seconds += (now - this.#last) / 1000;
    this.#last = now;
  }

  /** Times an evaluation. */
  async evaluation<T>(work: () => Promise<T>): Promise<T> {
    const start = this.#clock();
    const result = await work();
    this.#evaluation = (this.#clock() - start) / 1000;
    return result;
  }

  /** Seconds that a step takes, on average. */
  get secondsPerStep(): number {
    return this.#seconds / Math.max(1, this.#steps);
  }

  /** Seconds that so many steps and epochs will take. */
  secondsFor(steps: number, epochs: number): number {
    return steps * this.secondsPerStep + epochs * this.#evaluation;
  }
}

/**
 * @file Accuracy against coverage: how often a network is right where it answers only what it is surest of.
 *
 * Samples are taken in falling order of confidence. The risk at k samples is the share of them that is
 * wrong; the area under the risk-coverage curve is its mean over k = 1 ... N (Geifman et al.,
 * "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", 2019): 0 for a network that is
 * never wrong, and small for one that is wrong only where it is unsure.
 */

/** The shares of samples that are answered. */
export const coverages = [1, 0.9, 0.8, 0.7, 0.5] as const;

/**
 * Accuracy at each of {@link coverages}, then the area, as a function of which samples to take, which may
 * repeat. Among samples of equal confidence every order counts alike.
 */
export function selectiveAccuracy(
  confidences: ArrayLike<number>,
  isCorrect: ArrayLike<number>,
): (indices: Int32Array) => Float64Array {
  const order = Int32Array.from(confidences, (_, i) => i).sort(
    (a, b) => confidences[b] - confidences[a],
  );
  const isWrong = Uint8Array.from(order, (index) => 1 - isCorrect[index]);
  /** Where samples of one confidence end, in `order`. */
  const ends = Int32Array.from(order.keys(), (at) => at + 1).filter(
    (end) => end === order.length || confidences[order[end]] !== confidences[order[end - 1]],
  );
  const copies = new Int32Array(order.length);
  return (indices) => {
    copies.fill(0);
    for (const index of indices) copies[index]++;
    const count = indices.length;
    const figures = new Float64Array(coverages.length + 1);
    // At least one sample is answered.
    const wanted = coverages.map((share) => Math.max(1, Math.round(share * count)));
    let next = wanted.length - 1;
    let [at, taken, wrong, area] = [0, 0, 0, 0];
    for (const end of ends) {
      let [equal, wrongOfEqual] = [0, 0];
      for (; at < end; at++) {
        const own = copies[order[at]];
        equal += own;
        wrongOfEqual += own * isWrong[at];
      }
      if (equal === 0) continue;
      const rate = wrongOfEqual / equal;
      // Coverages fall, so the last ones are reached first.
      for (; next >= 0 && wanted[next] <= taken + equal; next--)
        figures[next] = 1 - (wrong + rate * (wanted[next] - taken)) / wanted[next];
      for (let k = 1; k <= equal; k++) area += (wrong + rate * k) / (taken + k);
      taken += equal;
      wrong += wrongOfEqual;
    }
    figures[coverages.length] = area / count;
    return figures;
  };
}

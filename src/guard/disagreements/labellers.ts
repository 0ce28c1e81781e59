/**
 * @file People make mistakes. A wrong answer that falls on either network alike shrinks the drop that is seen, so the
 * tolerance shrinks with it; and two people who answer the same questions show how far they agree.
 */

/** Decoys are questions whose answer is known beforehand, because both networks give the same class with confidence. */
export interface Decoys {
  readonly answered: number;
  /** Answers other than what both networks say. */
  readonly wrong: number;
}

/** What is assumed where decoys are few: as if 0.4 of 20 answers were wrong, 2 %. */
const assumedWrong = 0.4;
const assumedAnswers = 20;

/**
 * The share of wrong answers that the certificate allows for: what the decoys show, but no less than with twenty
 * answers more of which 2 % are wrong. 0 where no decoy was answered.
 */
export function labellerError({ answered, wrong }: Decoys): number {
  if (answered === 0) return 0;
  return Math.max(wrong / answered, (wrong + assumedWrong) / (answered + assumedAnswers));
}

/**
 * The tolerance for the drop that is seen, where a share of answers is wrong: (1 - 2 error) of it, at least 0.
 *
 * A wrong answer to a disagreement that is lost or won names another class: the other network's (the outcome turns
 * round) or a third (it becomes 0). With r the share of the former, the expected outcome is 1 - error (1 + r) of the
 * true one; r is at most 1. With errors spread evenly over K classes it is 1 / (K - 1), and the factor 1 - error K / (K - 1).
 */
export function correctedTolerance(tolerance: number, error: number): number {
  return Math.max(0, tolerance * (1 - 2 * error));
}

/**
 * Cohen's kappa ("A coefficient of agreement for nominal scales", 1960) of two lists of answers to the same
 * questions: 1 for the same answers, 0 for no more agreement than by chance. `undefined` without questions, or where
 * both gave one and the same answer everywhere.
 */
export function cohensKappa(
  first: readonly string[],
  second: readonly string[],
): number | undefined {
  const count = first.length;
  const shares = (answers: readonly string[]) => {
    const counts = new Map<string, number>();
    for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1 / count);
    return counts;
  };
  const [ours, theirs] = [shares(first), shares(second)];
  const agreed = first.filter((answer, i) => answer === second[i]).length / count;
  let byChance = 0;
  for (const [answer, share] of ours) byChance += share * (theirs.get(answer) ?? 0);
  return count === 0 || byChance > 1 - 1e-12 ? undefined : (agreed - byChance) / (1 - byChance);
}

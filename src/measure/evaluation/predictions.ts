/** @file What a network said about each sample. */

/** What the network said about each sample, in the order in which the samples were read. */
export interface Predictions {
  /** [N] numbers of the samples in the data set. */
  readonly indices: Int32Array;
  readonly labels: Int32Array;
  readonly predicted: Int32Array;
  /** 1 where the prediction is right. */
  readonly isCorrect: Uint8Array;
  /** Cross-entropy in nats. */
  readonly losses: Float64Array;
  /** Probability of the predicted class. */
  readonly confidences: Float64Array;
  /** Brier score over all classes; files of earlier versions have none. */
  readonly briers?: Float64Array | undefined;
  /** [N, channels] outputs, where they were asked for: one for each class, or one that tells two apart. */
  readonly outputs: Float32Array | undefined;
}

/** @file How the elements of a tensor lie beside each other, as far as contexts care. */

/** A tensor seen as rows of kernels. */
export interface Geometry {
  /** Number of elements. */
  readonly count: number;
  /** Elements per index of the first axis: the weights that one neuron reads. */
  readonly row: number;
  /** Elements per kernel of a convolution: the product of its spatial axes; 1 otherwise. */
  readonly kernel: number;
}

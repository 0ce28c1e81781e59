/**
 * @file The places where channels are computed and where they are summed over, as the rules of operators report them.
 */
import type { Node } from "../../ir/graph.ts";

/** A sum of a node over one axis of an input: behind it a removed channel has no effect of its own. */
export interface Read {
  readonly node: Node;
  readonly input: number;
  readonly axis: number;
}

/** A parameter axis that makes channels: one filter per index. */
export interface Producer {
  readonly node: Node;
  readonly input: number;
  readonly axis: number;
  /** True where it makes none, but selects what its layer reads: see `selections.ts`. */
  readonly isSelection?: true;
}

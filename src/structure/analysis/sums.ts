/** @file Where channels are made and where they are summed over, as the rules of operators tell it. */
import type { Node } from "../../ir/graph.ts";

/** A node sums over one axis of one of its inputs: where a removed channel stops being seen. */
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

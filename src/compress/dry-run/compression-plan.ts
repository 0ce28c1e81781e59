/** @file The plan of a compression, which `--dry-run` shows. */
import type { Dataset } from "../../data/dataset.ts";
import type { AnyMethod } from "../../methods/method/learned-method.ts";
import type { CompressSettings } from "../../runs/settings/compress-settings.ts";
import type { RunCost, RunTime } from "./dry-run-cost.ts";
import type { GuardOutlook } from "./dry-run-guard.ts";

/** The network, and the share of it that may be removed. */
export interface PlannedNetwork {
  readonly path: string;
  readonly params: number;
  readonly macs: number;
  readonly sizeBytes: number;
  readonly units: number;
  /** Units that the network, the rules and a method without training let go, and the groups that hold any. */
  readonly prunableUnits: number;
  readonly prunableGroups: number;
  readonly groups: number;
  /** Why the other units must stay, the commonest reason first. */
  readonly fixed: readonly {
    readonly reason: string;
    readonly units: number;
    readonly groups: readonly string[];
  }[];
  /** Shares of the original that remain when everything prunable is removed. */
  readonly least: { readonly macs: number; readonly params: number; readonly bytes: number };
}

/** The aim of one round. */
export interface PlannedRound {
  /** From 1. */
  readonly round: number;
  /** Shares of the original that may remain after it; empty without targets. */
  readonly targets: CompressSettings["targets"];
  /** The drop on `select` that the removal may cause before fine-tuning; null with targets. */
  readonly removalDrop: number | null;
  /** The drop on `select` up to which it is accepted; null without a tolerance. */
  readonly acceptedDrop: number | null;
}

/** The plan of a compression. */
export interface CompressionPlan {
  readonly network: PlannedNetwork;
  readonly data: Pick<Dataset, "path" | "format" | "labelKind" | "classes" | "sampleShape"> & {
    /** Images by role. */
    readonly samples: Readonly<Record<"fit" | "select" | "certify" | "test", number>>;
    readonly isHeldOut: boolean;
  };
  readonly method: Pick<AnyMethod, "name" | "summary" | "source" | "needs"> & {
    readonly trains: boolean;
  };
  readonly rounds: readonly PlannedRound[];
  readonly cost: RunCost;
  readonly time: RunTime;
  /** Null without a tolerance. */
  readonly guard: GuardOutlook | null;
  /** Complete, as `config.json` would hold them. */
  readonly settings: CompressSettings;
  /** Warnings, one sentence each. */
  readonly warnings: readonly string[];
}

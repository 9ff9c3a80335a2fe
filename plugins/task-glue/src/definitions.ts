import type { GlueName } from "./options.ts";

/** The metrics that GLUE reports. */
export type GlueMetric = "accuracy" | "f1" | "matthews" | "pearson" | "spearman";

/** An evaluation split: its name in events, and what its files are called. */
export interface EvaluationSplit {
  readonly name: string;
  readonly stems: readonly string[];
}

/** What a task's rows look like and how it is measured. */
export interface GlueDefinition {
  /** The name of its folder in the original distribution. */
  readonly folder: string;
  /** Columns of the first text, the original name first; the first that a file has is taken. */
  readonly text: readonly string[];
  readonly pair?: readonly string[];
  readonly label: readonly string[];
  /** Names of the classes by index, as on the hub; empty for a regression. */
  readonly labels: readonly string[];
  /** The first decides which checkpoint is best. */
  readonly metrics: readonly GlueMetric[];
  readonly evaluation: readonly EvaluationSplit[];
}

/** Range of STS-B's scores. */
export const SCORE_RANGE = { low: 0, high: 5 } as const;

const DEV: readonly EvaluationSplit[] = [{ name: "dev", stems: ["dev", "validation"] }];
const MNLI_DEV: readonly EvaluationSplit[] = [
  { name: "dev_matched", stems: ["dev_matched", "validation_matched"] },
  { name: "dev_mismatched", stems: ["dev_mismatched", "validation_mismatched"] },
];
const ENTAILMENT = ["entailment", "not_entailment"];
const SENTENCES = { text: ["sentence1", "premise"], pair: ["sentence2", "hypothesis"] };

/** The nine tasks. Source: Wang et al., "GLUE", ICLR 2019; column names of the original TSV files and of the hub's `nyu-mll/glue`. */
export const GLUE: Readonly<Record<GlueName, GlueDefinition>> = {
  cola: { folder: "CoLA", text: ["sentence"], label: ["label"], labels: ["unacceptable", "acceptable"], metrics: ["matthews"], evaluation: DEV },
  sst2: { folder: "SST-2", text: ["sentence"], label: ["label"], labels: ["negative", "positive"], metrics: ["accuracy"], evaluation: DEV },
  mrpc: { folder: "MRPC", text: ["#1 String", "sentence1"], pair: ["#2 String", "sentence2"], label: ["Quality", "label"], labels: ["not_equivalent", "equivalent"], metrics: ["accuracy", "f1"], evaluation: DEV },
  qqp: { folder: "QQP", text: ["question1"], pair: ["question2"], label: ["is_duplicate", "label"], labels: ["not_duplicate", "duplicate"], metrics: ["accuracy", "f1"], evaluation: DEV },
  stsb: { folder: "STS-B", text: ["sentence1"], pair: ["sentence2"], label: ["score", "label"], labels: [], metrics: ["pearson", "spearman"], evaluation: DEV },
  mnli: { folder: "MNLI", ...SENTENCES, label: ["gold_label", "label"], labels: ["entailment", "neutral", "contradiction"], metrics: ["accuracy"], evaluation: MNLI_DEV },
  qnli: { folder: "QNLI", text: ["question"], pair: ["sentence"], label: ["label"], labels: ENTAILMENT, metrics: ["accuracy"], evaluation: DEV },
  rte: { folder: "RTE", ...SENTENCES, label: ["label"], labels: ENTAILMENT, metrics: ["accuracy"], evaluation: DEV },
  wnli: { folder: "WNLI", text: ["sentence1"], pair: ["sentence2"], label: ["label"], labels: ["not_entailment", "entailment"], metrics: ["accuracy"], evaluation: DEV },
};

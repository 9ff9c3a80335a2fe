import { DeftError, defineStage, withMetrics, type Stage, type WeightFormat } from "@deft-js/core";
import { z } from "zod";
import { fourBitSchema, fp4, int8, int8Schema, nf4 } from "./formats.ts";
import { quantizeModel } from "./quantize.ts";

/** Options of the stage `quantize`: the format, and the format's own options beside it. */
export const quantizeSchema = z.discriminatedUnion("format", [
  fourBitSchema.extend({ format: z.literal("nf4") }),
  fourBitSchema.extend({ format: z.literal("fp4") }),
  int8Schema.extend({ format: z.literal("int8") }),
]);

export type QuantizeOptions = z.input<typeof quantizeSchema>;

/**
 * The stage `quantize`: puts the linear layers of the model in memory into a format; metrics `quantize` say how far the values moved.
 * @throws DeftError `options.invalid`; when run, `quantize.nothing` when no layer is accepted
 */
export function quantize(options: QuantizeOptions): Stage {
  const format = formatOf(options);
  return defineStage({
    id: "quantize",
    options: { format: format.id, ...format.options },
    run(artifact) {
      const report = quantizeModel(artifact.model, format);
      if (report.quantized === 0) throw new DeftError("quantize.nothing", `quantize: some linear layer must be quantized, got all ${report.kept.length} kept. Correct the pattern \`keep\`.`);
      return withMetrics(artifact, "quantize", report);
    },
  });
}

function formatOf(options: QuantizeOptions): WeightFormat {
  const result = quantizeSchema.safeParse(options);
  if (!result.success) {
    const issues = result.error.issues.map((issue) => `${issue.path.join(".") || "options"}: ${issue.message}`).join("; ");
    throw new DeftError("options.invalid", `quantize: options must fit the schema, got ${issues}. Correct them.`);
  }
  const { format, ...rest } = result.data;
  if (format === "int8") return int8(rest as z.input<typeof int8Schema>);
  return format === "nf4" ? nf4(rest as z.input<typeof fourBitSchema>) : fp4(rest as z.input<typeof fourBitSchema>);
}

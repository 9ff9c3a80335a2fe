import { attachmentOf, DeftError, isEncoderDecoder, ops, type AttachContext, type Attachment, type Model, type PeftMethod, type Site } from "@deft-js/core";
import { initialRows } from "./initial-rows.ts";
import { peftLayout } from "./layout.ts";
import { promptOptions, type PromptOptions, type PromptSettings } from "./options.ts";

/**
 * Prompt tuning: P trained rows [P, dModel] in front of the token embeddings of a frozen model, of the encoder where there is one (Lester
 * et al., 2021, arXiv:2104.08691). The rows are positions like all others: they are attended to, numbered and counted in densities, and a
 * classification head that reads the first position reads the first of them, as in HF PEFT.
 * @throws DeftError `options.invalid`; on attaching, `prompt.target` when the model has no embedding site, `prompt.init`
 */
export function prompt(settings: PromptSettings = {}): PeftMethod {
  const options = promptOptions(settings);
  const method: PeftMethod = { id: "prompt", options, attach: (model, rng, context = {}) => attach(method, options, { model, rng, context }) };
  return method;
}

function attach(method: PeftMethod, options: PromptOptions, { model, rng, context }: { model: Model; rng: ops.Rng; context: AttachContext }): Attachment {
  const { virtualTokens: count, compat } = options;
  const { front, decoder } = places(model);
  const rows = compat !== undefined && isEncoderDecoder(model) ? 2 * count : count;
  const path = `${front.path}.prompt`;
  const variable = ops.Variable.from(path, initialRows({ site: front, rows, options, rng: rng.fork(path), context }), [rows, front.dOut]);
  return attachmentOf({
    method,
    variables: [variable],
    undo: [prepend(front, variable, 0, count), ...(compat === "peft-0.3" && decoder !== undefined ? [prepend(decoder, variable, count, count)] : [])],
    layouts: { peft: peftLayout(model, variable, options) },
  });
}

/** The embedding that takes the prompt, the encoder's where there are two, and the decoder's beside it. */
function places(model: Model): { readonly front: Site<"embedding">; readonly decoder: Site<"embedding"> | undefined } {
  const sites = model.sites("embedding");
  const front = sites.find(({ stack }) => stack === "encoder") ?? sites[0];
  if (front === undefined) throw new DeftError("prompt.target", `prompt: the model must have an embedding site, got none in family ${model.family}. Use another method.`);
  return { front, decoder: sites.find((site) => site.stack === "decoder" && site !== front) };
}

/**
 * Puts rows `start` … of the variable in front of what the site embeds; of several prompts the earlier attached stands in front. In
 * generation, once keys of earlier positions are held, the rows are among them.
 */
function prepend(site: Site<"embedding">, variable: ops.Variable, start: number, count: number): () => void {
  const [all = 0, d = 0] = variable.shape;
  const own = (): ops.Tensor => (count === all ? variable.value : ops.slice(variable.value, [start, 0], [count, d])); // [count, dModel]
  return site.wrap((input, base) => {
    if ((input.past ?? 0) > 0) return base(input);
    return base({ ...input, prompt: input.prompt === undefined ? own() : ops.concat([own(), input.prompt], 0) });
  });
}

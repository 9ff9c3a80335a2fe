import { readPlaces, writePlaces, type AdapterLayout, type LayoutPlace, type Model, type StateVoice } from "@deft-js/core";
import { FIXED } from "./config.ts";
import type { Bottleneck } from "./bottleneck.ts";
import type { AdapterOptions } from "./options.ts";

/** Who speaks when a state does not fit. */
export const ADAPTER_STATE: StateVoice = { who: "adapter", code: "adapter.state" };

/** AdapterHub: `PATH.adapters.NAME.adapter_down.0.{weight,bias}` and `adapter_up.{weight,bias}`, weights [dOut, dIn]. */
export function adapterHubLayout(model: Model, bottlenecks: readonly Bottleneck[], options: AdapterOptions): AdapterLayout {
  return {
    config: () => ({
      config: {
        ...FIXED,
        ...options.kept?.adapterhub,
        mh_adapter: options.placement === "houlsby",
        output_adapter: true,
        original_ln_before: options.placement === "pfeiffer",
        non_linearity: options.nonLinearity === "silu" ? "swish" : options.nonLinearity,
        reduction_factor: options.reductionFactor,
        ...(options.dropout > 0 ? { dropout: options.dropout } : {}),
      },
      hidden_size: model.config["hidden_size"] ?? model.config["d_model"],
      model_type: model.family,
    }),
    write: (name) => writePlaces(places(bottlenecks, name)),
    read: (tensors, name) => readPlaces(places(bottlenecks, name), tensors, { ...ADAPTER_STATE, isOwn: (key) => key.includes(`.adapters.${name}.`) }),
  };
}

function places(bottlenecks: readonly Bottleneck[], name: string): readonly LayoutPlace[] {
  return bottlenecks.flatMap(({ site, downWeight, downBias, upWeight, upBias }) => {
    const prefix = `${site.path}.adapters.${name}`;
    return [
      { name: `${prefix}.adapter_down.0.weight`, variable: downWeight, as: "transposed" as const },
      { name: `${prefix}.adapter_down.0.bias`, variable: downBias },
      { name: `${prefix}.adapter_up.weight`, variable: upWeight, as: "transposed" as const },
      { name: `${prefix}.adapter_up.bias`, variable: upBias },
    ];
  });
}

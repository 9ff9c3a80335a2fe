export { AbsentWeight } from "./absent-weight.ts";
export { evaluationContext, trainingContext, contextDropout } from "./context.ts";
export { DenseWeight } from "./dense-weight.ts";
export { activatedLinear, LinearSite, type ActivatedLinear, type LinearPlace } from "./linear-site.ts";
export { loadParameters, type Initial, type LoadedParameters, type LoadOptions, type ParameterSpec } from "./load-parameters.ts";
export { classificationLoss, tokenLoss } from "./loss.ts";
export { ModelParts } from "./model-parts.ts";
export { SitePoint, type SiteFunction, type SitePlace } from "./site-point.ts";
export { transposeMatrix } from "./transpose-matrix.ts";

export { answerF1, exactAnswer, normalizedAnswer, squadMetrics, type Answered } from "./answers.ts";
export { squadSchema, type SquadOptions, type SquadSettings } from "./options.ts";
export { squadPlugin, squadPlugin as default } from "./plugin.ts";
export { squad } from "./squad.ts";

/** One named demand of a contract; `run` throws when it is not met. */
export interface Check {
  readonly name: string;
  run(): void | Promise<void>;
}

/** What a check throws: the rule, what was found, and nothing else. */
export class ConformanceError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ConformanceError";
  }
}

/** Throws a ConformanceError unless the condition holds. */
export function demand(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ConformanceError(message);
}

/** Runs `body` and demands that it throws an error whose `code` matches; returns that error's message. */
export async function demandError(body: () => unknown, code: RegExp, what: string): Promise<string> {
  try {
    await body();
  } catch (error) {
    const found = (error as { code?: unknown }).code;
    demand(typeof found === "string" && code.test(found), `${what}: must throw an error with code ${code}, got ${found === undefined ? String(error) : JSON.stringify(found)}`);
    return String((error as Error).message);
  }
  throw new ConformanceError(`${what}: must throw an error with code ${code}, got none`);
}

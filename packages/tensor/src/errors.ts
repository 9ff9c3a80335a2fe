/** An error with a stable code whose message reads `who: rule, got value. Remedy.` */
export class DeftError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DeftError";
    this.code = code;
  }
}

import { expect, test } from "vitest";
import { tf } from "../src/index.ts";

test("tfjs's cpu back-end does not advertise another package, whoever makes it", () => {
  const made = tf.engine().registryFactory["cpu"]?.factory() as unknown as { firstUse: boolean };
  expect(made.firstUse).toBe(false);
});

/** Everything wrong with a value from outside, each with the path to it, and never the value. */
import type { z } from "zod";

const mistakesMax = 50;
const nameCharsMax = 60;

export function mistakesOf(error: z.ZodError): readonly string[] {
  const mistakes = error.issues.flatMap((issue): string[] => {
    if (issue.code !== "unrecognized_keys") return [`${pathOf(issue.path)}: ${issue.message}`];
    return issue.keys.map((key) => `${pathOf([...issue.path, key])}: is not known here`);
  });
  const more = mistakes.length - mistakesMax;
  return more > 0 ? [...mistakes.slice(0, mistakesMax), `and ${more} more`] : mistakes;
}

/** As a program would write it: `apps[0].secret`. */
function pathOf(path: readonly PropertyKey[]): string {
  const steps = path.map((step, index) => {
    if (typeof step === "number") return `[${step}]`;
    const name = String(step).slice(0, nameCharsMax);
    return index === 0 ? name : `.${name}`;
  });
  return steps.join("") || "(the whole)";
}

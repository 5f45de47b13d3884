import { definitions } from "../core/deployment/definitions.ts";
import type { ReplicaSpec } from "../core/deployment/spec.ts";

/** Why a deployment's class or function was not found, and what to do about it. */
export function notFound(
  { deployment, code }: Pick<ReplicaSpec, "deployment" | "code">,
  { waits }: { readonly waits: boolean },
): string {
  const { module } = code;
  const name = code.name || "the function";
  const subject = `The code of deployment "${deployment}" was not found:`;
  if (waits && !definitions.resembles(code))
    return (
      `${subject} ${module} defines ${name}, by deployment(${name}), after a serve.run(…) whose result it uses. Replicas load the module again, and wait there for ever: they run nothing that could give a result. ` +
      `Call deployment(${name}) before the first serve.run(…), or move the classes with their deployment(…) to a module of their own.`
    );
  const count = definitions.counted(code);
  if (count > 0)
    return (
      `${subject} which it is cannot be told for sure. Loading ${module} has given deployment() ${count === 1 ? "something" : `${count} things`} named ${name} in async functions, which may do it in another order each time. ` +
      `Give each a name of its own: deployment(${name}, { name: "…" }), or call deployment(${name}) at the top level of the module.`
    );
  return (
    `${subject} loading ${module} did not define ${name} (it was loaded to its end). Replicas load the module again, so the class must be defined whenever it is loaded: ` +
    `move ${code.name || "it"} and its deployment() call to the top level of the module, or export the class from a module of its own and give deployment(..., { module: import.meta.url }) there. ` +
    `To run everything in one process instead, as in a test, use serve.run(app, { local: true }).`
  );
}

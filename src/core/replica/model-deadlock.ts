import type { RequestScope } from "../handle/context.ts";
import type { ModelEntry } from "./model-entry.ts";

/**
 * Whether those in the queue wait for ever: every place is held by requests that wait in the queue themselves.
 *
 * It sees only the requests of one cache; one that waits for another replica, which waits for this one, has its deadline.
 */
export function isDeadlocked<M>(queue: readonly ModelEntry<M>[], entries: readonly ModelEntry<M>[]): boolean {
  const waiting = new Set<RequestScope | undefined>();
  for (const { waiters } of queue) for (const { scope } of waiters) waiting.add(scope);
  return entries.every(({ phase, users }) => {
    if (phase === "queued") return true;
    return phase === "held" && users.size > 0 && [...users].every((scope) => waiting.has(scope));
  });
}

import type { Containment } from "../core/contracts/containment.ts";

/**
 * Contains what listeners of events throw.
 *
 * Node catches an error of a listener and throws it again in a tick of its own (`EventTarget`, "uncaughtException"), where
 * nobody can catch it any more. So for as long as events are dispatched, ticks are scheduled through here: those that
 * listeners schedule themselves too, for they are the same code.
 */
export const containment: Containment = {
  run(fn, onThrown) {
    const { nextTick } = process;
    const contained: typeof nextTick = (callback, ...args) =>
      nextTick.call(process, () => {
        try {
          Reflect.apply(callback, undefined, args);
        } catch (error) {
          onThrown(error);
        }
      });
    process.nextTick = contained;
    try {
      fn();
    } finally {
      // What somebody else has put in its place meanwhile is to stay there.
      if (process.nextTick === contained) process.nextTick = nextTick;
    }
  },
};

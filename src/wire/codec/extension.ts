/**
 * Lets values travel that are no data: handles.
 *
 * It is asked about a value only when the codec itself has no way to write it, and before any property of the value is
 * read: functions, and objects whose prototype is not that of a plain object, array or built-in. What is written is
 * the description, which must itself be data.
 */
export interface ValueExtension {
  /** The data that stands for `value`, or undefined if it is none of this extension's. Must not throw. */
  describe(value: object): unknown;
  /** Makes the value again. Whatever it throws is a protocol error. */
  revive(data: unknown): unknown;
}

/** No value travels by reference. */
export const noExtension: ValueExtension = {
  describe: () => undefined,
  revive: () => {
    throw new Error("This side knows no values that travel by reference.");
  },
};

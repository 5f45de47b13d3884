/** Thrown when something is left that should be gone; `leftovers` names each. */
export class LeftoversError extends Error {
  override readonly name: string = "LeftoversError";
  readonly leftovers: readonly string[];

  constructor(where: string, leftovers: readonly string[]) {
    super(
      `Left behind ${where}:\n${leftovers.map((leftover) => `  - ${leftover}`).join("\n")}\nAwait or cancel() what was called, and close what was opened.`,
    );
    this.leftovers = leftovers;
  }
}

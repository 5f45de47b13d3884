/** The package as the contract's example sees it. */
export * from "../../src/index.ts";

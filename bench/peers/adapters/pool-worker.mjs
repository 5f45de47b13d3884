import * as work from "./work.mjs";

export const echo = (value) => work.echo(value);
export const nothing = () => work.nothing();
export const take = (bytes) => work.take(bytes);

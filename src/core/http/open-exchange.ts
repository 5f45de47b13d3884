import type { CallTemplate } from "../handle/call.ts";
import type { Caller } from "../handle/caller.ts";
import { INGRESS } from "../router/snapshot.ts";
import { ExchangeCall } from "./exchange-call.ts";
import type { ExchangeOptions, OpenExchange } from "./exchange.ts";

/**
 * Opens exchanges through a caller: they share its routers, and so one waiting line, with its handles.
 *
 * @param ingressOf the name of an application's ingress deployment, where it is known.
 */
export function exchangeOpener(
  caller: Caller,
  ingressOf: (app: string) => string | undefined = () => undefined,
): OpenExchange {
  /** For what most requests are: without a model and a session. */
  const templates = new Map<string, CallTemplate>();
  return (app, options, listener) => {
    const deployment = ingressOf(app) ?? INGRESS;
    const kind = options.webSocket === true ? "web-socket" : options.body === undefined ? "parts" : "whole";
    const key = `${app}\n${deployment}\n${kind}`;
    let template = templates.get(key);
    if (template === undefined) templates.set(key, (template = templateOf(app, deployment, kind)));
    const router = caller.router(app, deployment);
    return new ExchangeCall({ caller, router, template: withAffinity(template, options), options, listener }).open();
  };
}

function templateOf(app: string, deployment: string, exchange: NonNullable<CallTemplate["exchange"]>): CallTemplate {
  return {
    app,
    deployment,
    method: exchange === "web-socket" ? "websocket" : "fetch",
    exchange,
    stream: true,
    broadcast: false,
    requestSerialization: "structured",
    responseSerialization: "structured",
    multiplexedModelId: "",
    sessionId: "",
    preferLocalRouting: false,
    byReference: true,
    spinUs: 0,
  };
}

function withAffinity(template: CallTemplate, options: ExchangeOptions): CallTemplate {
  const { multiplexedModelId = "", sessionId = "" } = options;
  return multiplexedModelId === "" && sessionId === "" ? template : { ...template, multiplexedModelId, sessionId };
}

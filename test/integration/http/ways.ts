import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { HttpOptions } from "heliostat";
import { makeCertificate } from "../../support/certificate.ts";
import type { Mode } from "../harness.ts";

/** Who serves HTTP, and how: the same rules hold for all. */
export interface Way {
  readonly name: string;
  /** Where an application runs whose place does not matter: proxies in other processes do not reach this one's memory. */
  readonly mode: Mode;
  /** At any free port. Called in a hook: it may make a certificate, which this process trusts from then on. */
  http(): HttpOptions;
}

const inDriver: Way = { name: "in the driver", mode: "local", http: () => ({ port: 0 }) };
const inProcesses: Way = {
  name: "in two processes",
  mode: "processes",
  http: () => ({ port: 0, workers: 2 }),
};
const overTls: Way = {
  name: "in two processes, over TLS",
  mode: "processes",
  http() {
    const tls = makeCertificate();
    setDefaultCACertificates([...getCACertificates("default"), tls.cert]);
    return { port: 0, workers: 2, tls };
  },
};

export const ways: readonly Way[] = [inDriver, inProcesses];
export const waysWithTls: readonly Way[] = [...ways, overTls];

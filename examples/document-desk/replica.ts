import { serve } from "heliostat";

/** Which replica did a piece of work. */
export interface Replica {
  readonly deployment: string;
  /** 0 for the first replica of the deployment, 1 for the next, … */
  readonly rank: number;
  readonly replicaId: string;
  readonly pid: number;
}

/** The replica that this code runs in. */
export function thisReplica(): Replica {
  const { deployment, rank, replicaId } = serve.getReplicaContext();
  return { deployment, rank, replicaId, pid: process.pid };
}

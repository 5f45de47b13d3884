import type { Found } from "./detector.ts";
import type { DeskEvent, Line } from "./desk.ts";
import type { Replica } from "./replica.ts";

/** When things happened while one picture was read, as the caller saw it. */
export interface CallerTimes {
  /** Until the text was found. */
  readonly foundMs: number;
  /** Until the last line was there. */
  readonly totalMs: number;
  /** The longest time in which the caller's event loop could do nothing else. */
  readonly longestStallMs: number;
}

/** One line of a picture, as it is printed. */
export function lineText({ text, confidence }: Line): string {
  return `${`${Math.round(confidence * 100)} %`.padStart(5)}  ${text}`;
}

/** What is known when a picture has been read. */
export class Report {
  readonly lines: Line[] = [];
  #pieces = 0;
  #bytes = 0;
  #detection: Omit<Found, "crops"> | undefined;

  add(event: DeskEvent): void {
    switch (event.kind) {
      case "found":
        this.#pieces = event.pieces;
        this.#bytes = event.bytes;
        this.#detection = event.work;
        return;
      case "line":
        this.lines.push(event.line);
        return;
      default:
        event satisfies never;
    }
  }

  /** Where the time went: by replica, then as the caller saw it. */
  timeText(times: CallerTimes): string {
    const rows = [...this.#detectorRows(), ...this.#recognizerRows()];
    const readMs = times.totalMs - times.foundMs;
    const seen =
      this.#pieces === 0
        ? [`${ms(times.totalMs)} in all`]
        : [
            `${ms(times.foundMs)} until the text was found, ${ms(readMs)} more until it was read: ${ms(times.totalMs)} in all`,
            `${count(this.#pieces, "crop")} went to the recognizers, ${Math.round(this.#bytes / 1024)} KB of pixels`,
          ];
    return [
      "Where the time went:",
      ...rows.map(({ replica, work }) => `  ${place(replica)}  ${work}`),
      ...seen.map((line) => `  ${line}`),
      `  the caller's event loop never stood still longer than ${times.longestStallMs.toFixed(1)} ms`,
    ].join("\n");
  }

  #detectorRows(): WorkRow[] {
    if (this.#detection === undefined) return [];
    const { replica, decodeMs, detectMs, cutMs } = this.#detection;
    return [{ replica, work: `decode ${ms(decodeMs)}, detect ${ms(detectMs)}, cut ${ms(cutMs)}` }];
  }

  #recognizerRows(): WorkRow[] {
    const byReplica = Map.groupBy(this.lines, ({ replica }) => replica.replicaId);
    return [...byReplica.values()]
      .map((lines) => {
        const busyMs = lines.reduce((sum, { recognizeMs }) => sum + recognizeMs, 0);
        return { replica: lines[0]!.replica, work: `recognize ${ms(busyMs)}, ${count(lines.length, "line")}` };
      })
      .toSorted((a, b) => a.replica.rank - b.replica.rank);
  }
}

interface WorkRow {
  readonly replica: Replica;
  readonly work: string;
}

function place({ deployment, rank, pid }: Replica): string {
  return `${deployment.padEnd(11)} rank ${rank}  pid ${String(pid).padEnd(7)}`;
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}

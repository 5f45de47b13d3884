/** One stretch of text that the detection model has seen: a band along a centre line, which follows the bend of the paper. */
export interface TextBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** How sure the model is that this is text, from 0 to 1. */
  readonly score: number;
  /** The height of the text, across the centre line. */
  readonly thickness: number;
  /** The y of the text's middle in each column from `left` on. */
  readonly centre: Float32Array;
}

/** What the detection model gives: for each pixel, how likely it is to be inside text. */
export interface ProbabilityMap {
  readonly values: Float32Array;
  readonly width: number;
  readonly height: number;
}

export interface BoxOptions {
  /** A pixel belongs to text above this probability. */
  readonly pixelThreshold: number;
  /** A box is kept above this mean probability. */
  readonly boxThreshold: number;
  /**
   * The model marks text shrunk towards its middle; this undoes it. The model is trained with 1.5, but reads pages of wide and
   * of tight lines best between 2.25 and 3: below that the recognizer loses spaces and the lower ends of letters.
   */
  readonly unclipRatio: number;
  /** Boxes with a thinner core are noise. In pixels. */
  readonly minCore: number;
}

export const defaultBoxOptions: BoxOptions = { pixelThreshold: 0.3, boxThreshold: 0.6, unclipRatio: 2.5, minCore: 3 };

/**
 * Finds the text in a probability map, in reading order.
 *
 * Text must run roughly from left to right. In exchange a box may be bent: on a photographed page lines are seldom
 * straight, and an upright rectangle round a bent line holds parts of its neighbours.
 */
export function findBoxes(map: ProbabilityMap, options: BoxOptions = defaultBoxOptions): TextBox[] {
  const boxes: TextBox[] = [];
  for (const pixels of components(map, options.pixelThreshold)) {
    const box = toBox(pixels, map, options);
    if (box !== undefined) boxes.push(box);
  }
  return inReadingOrder(boxes);
}

/** Sorts boxes into rows from top to bottom, and each row from left to right. */
export function inReadingOrder(boxes: readonly TextBox[]): TextBox[] {
  const rows: TextBox[][] = [];
  for (const box of boxes.toSorted((a, b) => a.left - b.left)) {
    // Only the facing ends are compared: the two ends of one bent or tilted line may differ by more than a line's height.
    const row = rows.find((members) => follows(box, members.at(-1)!));
    if (row === undefined) rows.push([box]);
    else row.push(box);
  }
  return rows.toSorted((a, b) => middle(a[0]!) - middle(b[0]!)).flat();
}

function follows(box: TextBox, previous: TextBox): boolean {
  const climb = Math.abs(box.centre[0]! - previous.centre.at(-1)!);
  const overlap = previous.left + previous.width - box.left;
  return climb < Math.max(box.thickness, previous.thickness) / 2 && overlap < previous.thickness;
}

function middle(box: TextBox): number {
  return box.centre[box.centre.length >> 1]!;
}

/** The connected groups of text pixels, each as indices into the map. */
function* components({ values, width, height }: ProbabilityMap, threshold: number): Generator<number[]> {
  const open = Uint8Array.from(values, (value) => (value > threshold ? 1 : 0));
  for (let start = 0; start < open.length; start++) {
    if (open[start] === 0) continue;
    open[start] = 0;
    const pixels = [start];
    // The list of members is also the queue of those whose neighbours are still to be visited.
    for (let next = 0; next < pixels.length; next++) {
      const x = pixels[next]! % width;
      const y = (pixels[next]! - x) / width;
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          const neighbour = ny * width + nx;
          if (open[neighbour] === 0) continue;
          open[neighbour] = 0;
          pixels.push(neighbour);
        }
      }
    }
    yield pixels;
  }
}

function toBox(pixels: readonly number[], map: ProbabilityMap, options: BoxOptions): TextBox | undefined {
  let score = 0;
  let left = map.width;
  let right = 0;
  for (const pixel of pixels) {
    score += map.values[pixel]! / pixels.length;
    left = Math.min(left, pixel % map.width);
    right = Math.max(right, pixel % map.width);
  }
  const length = right - left + 1;
  const core = pixels.length / length;
  if (score < options.boxThreshold || core < options.minCore) return undefined;

  // The model's own rule for the margin that it leaves out: area × ratio / perimeter, on every side.
  const margin = (pixels.length * options.unclipRatio) / (2 * (length + core));
  const thickness = core + 2 * margin;
  const from = Math.max(0, Math.floor(left - margin));
  const to = Math.min(map.width, Math.ceil(right + 1 + margin));
  const centre = extend(smooth(columnMiddles(pixels, map.width, left, length), thickness), left - from, to - right - 1);
  const top = Math.max(0, Math.min(...centre) - thickness / 2);
  const bottom = Math.min(map.height, Math.max(...centre) + thickness / 2);
  return { left: from, top, width: to - from, height: bottom - top, score, thickness, centre };
}

function columnMiddles(pixels: readonly number[], width: number, left: number, length: number): Float32Array {
  const sums = new Float32Array(length);
  const counts = new Uint32Array(length);
  for (const pixel of pixels) {
    const x = pixel % width;
    sums[x - left]! += (pixel - x) / width;
    counts[x - left]! += 1;
  }
  // A connected group has pixels in every column between its ends.
  return sums.map((sum, x) => sum / counts[x]! + 0.5);
}

/** A moving average over about three letters, so that a ragged edge of the map does not make the text wave. */
function smooth(line: Float32Array, thickness: number): Float32Array {
  const reach = Math.ceil(thickness * 1.5);
  return line.map((_, x) => {
    // As far to the left as to the right, also near the ends: otherwise a tilted line would be bent there.
    const near = Math.min(reach, x, line.length - 1 - x);
    let sum = 0;
    for (let i = x - near; i <= x + near; i++) sum += line[i]!;
    return sum / (2 * near + 1);
  });
}

/** Goes on by some columns at both ends, along the line's slope there. */
function extend(line: Float32Array, before: number, after: number): Float32Array {
  const reach = Math.min(line.length - 1, 20);
  const slopeAtStart = reach === 0 ? 0 : (line[reach]! - line[0]!) / reach;
  const slopeAtEnd = reach === 0 ? 0 : (line.at(-1)! - line[line.length - 1 - reach]!) / reach;
  return Float32Array.from({ length: before + line.length + after }, (_, i) => {
    const x = i - before;
    if (x < 0) return line[0]! + slopeAtStart * x;
    if (x < line.length) return line[x]!;
    return line.at(-1)! + slopeAtEnd * (x - line.length + 1);
  });
}

/** What a recogniser has read, and how sure it is: the mean over the characters, from 0 to 1. */
export interface Reading {
  readonly text: string;
  readonly confidence: number;
}

/**
 * Greedy CTC decoding: the likeliest symbol of each step, repeats taken once, blanks left out.
 *
 * `probabilities` has a row for each step from left to right, with a column for each of `symbols`; the first symbol is
 * the blank, which also stands between two equal characters.
 */
export function decodeText(probabilities: Float32Array, symbols: readonly string[]): Reading {
  let text = "";
  let confidence = 0;
  let characters = 0;
  let previous = 0;
  for (let row = 0; row + symbols.length <= probabilities.length; row += symbols.length) {
    const best = likeliest(probabilities, row, symbols.length);
    if (best !== 0 && best !== previous) {
      text += symbols[best]!;
      confidence += probabilities[row + best]!;
      characters += 1;
    }
    previous = best;
  }
  return { text, confidence: characters === 0 ? 0 : confidence / characters };
}

function likeliest(probabilities: Float32Array, row: number, count: number): number {
  let best = 0;
  for (let i = 1; i < count; i++) {
    if (probabilities[row + i]! > probabilities[row + best]!) best = i;
  }
  return best;
}

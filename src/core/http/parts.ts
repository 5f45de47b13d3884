/** A body is sent in parts of at most so many bytes: a larger one would go beyond the other side's window. */
export const PART_BYTES = 262_144;
/** What a part of a request's body costs of the window beside its bytes: empty messages must not be free. */
export const PART_COST = 16;

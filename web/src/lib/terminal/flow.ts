// How far the terminal has come with what was sent to it. The server is at most 512 KiB ahead of what it was told.

/** How much more was taken in before the server hears of it again. */
export const TELL_BYTES = 64 * 1024;
/** The longest binary message: a paste is cut into such pieces. */
export const PIECE_BYTES = 32 * 1024;

export class Flow {
  private taken = 0;
  private told = 0;

  /** The terminal has taken in so many bytes more. What the server should hear now, if anything. */
  took(bytes: number): number | undefined {
    this.taken += bytes;
    if (this.taken - this.told < TELL_BYTES) return undefined;
    this.told = this.taken;
    return this.taken;
  }
}

/** What is typed, in pieces that fit into messages; no character of UTF-8 is cut. */
export function* pieces(bytes: Uint8Array, most = PIECE_BYTES): Generator<Uint8Array> {
  let from = 0;
  while (from < bytes.length) {
    let to = Math.min(bytes.length, from + most);
    // 10xxxxxx goes on a character.
    if (to < bytes.length) while (to > from + 1 && ((bytes[to] ?? 0) & 0xc0) === 0x80) to -= 1;
    yield bytes.subarray(from, to);
    from = to;
  }
}

/** How long to wait before the next try, in milliseconds: soon at first, then calmly. */
export function patience(tries: number, random: () => number = Math.random): number {
  return Math.min(4_000, 250 * 2 ** Math.min(tries, 5)) * (0.8 + 0.4 * random());
}

// The maths of a long list of which only what is seen is drawn.

/** Rows that are drawn beyond what is seen, above and below: whoever scrolls sees no edge. */
const OVER = 12;

/** Which rows are drawn: from, and behind the last. `row` is a row's height. */
export function drawn(top: number, height: number, row: number, count: number): [number, number] {
  if (row <= 0) return [0, 0];
  const first = Math.floor(Math.max(0, top) / row) - OVER;
  const last = Math.ceil((Math.max(0, top) + height) / row) + OVER;
  return [Math.max(0, Math.min(first, count)), Math.max(0, Math.min(last, count))];
}

/** Where to scroll so that a row is seen: nowhere if it is; a little if it is beside what is seen; else it comes to a third. */
export function reveal(place: number, top: number, height: number, row: number): number {
  const [from, to] = [place * row, (place + 1) * row];
  if (from >= top && to <= top + height) return top;
  if (from < top && top - from <= 2 * row) return from;
  if (to > top + height && to - top - height <= 2 * row) return to - height;
  return Math.max(0, from - height / 3);
}

/** Finds the row of a moment, whatever order rows stand in. */
export class Moments {
  private readonly order: Uint32Array;

  constructor(private readonly times: readonly number[]) {
    this.order = Uint32Array.from(times, (_, place) => place).sort((a, b) => (times[a] ?? 0) - (times[b] ?? 0) || a - b);
  }

  /** The last that was at a moment or before it, of several at once the lowest on the list; -1 if there is none. */
  at(moment: number): number {
    let low = 0;
    let high = this.order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.times[this.order[middle] ?? 0] ?? 0) <= moment) low = middle + 1;
      else high = middle;
    }
    return low ? (this.order[low - 1] ?? -1) : -1;
  }
}

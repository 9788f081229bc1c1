// A list, newest first, of which older pages are added at its end.

export interface Listed<Row> {
  rows: Row[];
  /** Whether there are older ones. */
  more: boolean;
}

/** The first page was asked for again: what is older than that page stays. */
export function refreshed<Row extends { id: string }>(page: Row[], before: Listed<Row> | undefined, most: number): Listed<Row> {
  if (page.length < most) return { rows: page, more: false };
  const last = page.at(-1)?.id;
  const at = before?.rows.findIndex(({ id }) => id === last) ?? -1;
  // Where the two do not meet nobody knows what stands between them.
  return before && at >= 0 ? { rows: [...page, ...before.rows.slice(at + 1)], more: before.more } : { rows: page, more: true };
}

import { expect, test } from 'vitest';
import { refreshed } from './listed';

const rows = (ids: string) => [...ids].map((id) => ({ id }));
const listed = (ids: string, more: boolean) => ({ rows: rows(ids), more });

test('a first page that is asked for again keeps the older ones behind it, where they meet', () => {
  for (const [page, before, after] of [
    ['cba', undefined, listed('cba', true)],
    ['ba', undefined, listed('ba', false)],
    // Nothing new, something new, and so much new that nobody knows what stands between.
    ['fed', listed('fedcba', false), listed('fedcba', false)],
    ['gfe', listed('fedcb', true), listed('gfedcb', true)],
    ['zyx', listed('fedcb', true), listed('zyx', true)],
    // One was removed from the page, and all but two.
    ['fdc', listed('fedcba', true), listed('fdcba', true)],
    ['fa', listed('fedcba', true), listed('fa', false)],
  ] as const) {
    expect(refreshed(rows(page), before, 3), page).toEqual(after);
  }
});

import { expect, test } from 'vitest';
import type { EventClass, FilmEvent } from '$lib/api/film';
import { rows, Tree } from './tree';

let seq = 0;
const event = (kind: string, process: number | undefined, parent: number | undefined, text = kind): FilmEvent => ({
  at: (seq += 1),
  seq,
  class: kind === 'opened' ? 'files' : kind === 'joined' ? 'people' : 'commands',
  kind,
  text,
  process,
  parent,
});
const ALL = new Set<EventClass>(['commands', 'files', 'network', 'transfers', 'forwards', 'people', 'marks']);

test('programs stand under what began them, and what they did under them', () => {
  const roots = new Tree().take([
    event('joined', undefined, undefined),
    event('ran', 10, 1, 'bash'),
    event('ran', 11, 10, 'make'),
    event('opened', 11, 10, 'Makefile'),
    event('ran', 12, 11, 'cc'),
    event('ended', 12, 11, 'ended with 1 after 0.2 s'),
    event('ended', 11, 10, 'ended with 0 after 1 s'),
  ]).roots;
  const shown = rows(roots, new Set(), ALL).map((branch) => `${'  '.repeat(branch.depth)}${branch.event.text}`);
  expect(shown).toEqual(['joined', 'bash', '  make', '    Makefile', '    cc']);
  const make = roots[1]?.children[0];
  expect(make?.until).toBeDefined();
  expect(make?.ending).toBeUndefined();
  expect(make?.children[1]?.ending).toContain('ended with 1');
});

test('folding hides what is below, and a class that is not wanted does not hide what it holds', () => {
  const roots = new Tree().take([event('ran', 10, 1, 'bash'), event('ran', 11, 10, 'ls'), event('opened', 11, 10, '/etc')]).roots;
  const bash = roots[0];
  expect(rows(roots, new Set([bash?.id ?? -1]), ALL)).toHaveLength(1);
  expect(rows(roots, new Set(), new Set<EventClass>(['files'])).map((one) => one.event.text)).toEqual(['/etc']);
});

test('what comes later goes on where the tree was, and tens of thousands of rows are quick', () => {
  const tree = new Tree();
  const wanted = 50_000;
  const began = performance.now();
  tree.take([event('ran', 10, 1, 'bash')]);
  for (let at = 0; at < wanted; at += 5_000) {
    tree.take(Array.from({ length: 5_000 }, (_, n) => event('opened', 10, 1, `/srv/${at + n}`)));
  }
  const shown = rows(tree.roots, new Set(), ALL);
  expect(shown).toHaveLength(wanted + 1);
  expect(shown.at(-1)).toMatchObject({ depth: 1, event: { text: `/srv/${wanted - 1}` } });
  expect(performance.now() - began).toBeLessThan(1_000);
});

test('programs may begin programs as deep as they like', () => {
  const deep = 100_000;
  const { roots } = new Tree().take(Array.from({ length: deep }, (_, n) => event('ran', n + 1, n, 'sh')));
  const shown = rows(roots, new Set(), ALL);
  expect(shown).toHaveLength(deep);
  expect(shown.at(-1)?.depth).toBe(deep - 1);
});

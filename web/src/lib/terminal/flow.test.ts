import { expect, test } from 'vitest';
import { Flow, patience, pieces, TELL_BYTES } from './flow';

test('the server hears how far the terminal is, before it would have to wait, and not at each key', () => {
  const flow = new Flow();
  expect(flow.took(10)).toBeUndefined();
  expect(flow.took(TELL_BYTES - 11)).toBeUndefined();
  expect(flow.took(1)).toBe(TELL_BYTES);
  expect(flow.took(TELL_BYTES - 1)).toBeUndefined();
  expect(flow.took(1)).toBe(2 * TELL_BYTES);
  // What is in flight and not told of never comes near the 512 KiB at which the server waits.
  expect(TELL_BYTES * 4).toBeLessThanOrEqual(512 * 1024);
});

test('a paste comes in pieces that are whole characters, and nothing is lost', () => {
  const check = (text: string, most: number) => {
    const bytes = new TextEncoder().encode(text);
    const cut = [...pieces(bytes, most)];
    expect(cut.every((piece) => piece.length <= most && piece.length > 0)).toBe(true);
    const decoder = new TextDecoder('utf-8', { fatal: true });
    expect(cut.map((piece) => decoder.decode(piece)).join('')).toBe(text);
  };
  check('plain text', 4);
  check('zwölf Boxkämpfer', 4);
  check('日本語テスト', 4);
  check('a😀b😀c', 5);
  expect([...pieces(new Uint8Array(0))]).toEqual([]);
});

test('the first tries come fast, the later ones calmly', () => {
  const middle = () => 0.5;
  expect(patience(0, middle)).toBe(250);
  expect(patience(3, middle)).toBe(2_000);
  expect(patience(50, middle)).toBe(4_000);
});

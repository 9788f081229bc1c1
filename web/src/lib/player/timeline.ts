// The maths of the time line: where a moment stands, how high a bar is, which marks are drawn as one.
import type { Cue, Film, Mark, MarkKind, Typing } from '$lib/api/film';

/** Where a moment stands, from 0 to `width`. */
export function toX(at: number, length: number, width: number): number {
  return length > 0 ? (Math.max(0, Math.min(length, at)) / length) * width : 0;
}

/** The moment at a place. */
export function toTime(x: number, length: number, width: number): number {
  return width > 0 ? (Math.max(0, Math.min(width, x)) / width) * length : 0;
}

/**
 * Heights from 0 to 1 of `bars` bars over a recording of `length`: the root of a logarithm, so that a key press is seen beside
 * a flood.
 */
export function heights(bytes: readonly number[], bucket_ms: number, length: number, bars: number): number[] {
  const sums = new Array<number>(bars).fill(0);
  if (length <= 0 || bucket_ms <= 0) return sums;
  bytes.forEach((count, at) => {
    if (count <= 0) return;
    const from = Math.min(bars - 1, Math.floor(((at * bucket_ms) / length) * bars));
    const to = Math.min(bars - 1, Math.floor((((at + 1) * bucket_ms - 1) / length) * bars));
    for (let bar = from; bar <= Math.max(from, to); bar += 1) sums[bar] = (sums[bar] ?? 0) + count / Math.max(1, to - from + 1);
  });
  const most = Math.log1p(Math.max(...sums, 1));
  return sums.map((sum) => (sum > 0 ? Math.max(0.08, Math.log1p(sum) / most) : 0));
}

export type Lane = 'people' | 'command' | 'file' | 'other' | 'gap';

export const LANE_OF: Record<MarkKind, Lane> = {
  people: 'people',
  said: 'people',
  typing: 'people',
  frozen: 'people',
  size: 'other',
  command: 'command',
  file: 'file',
  forward: 'other',
  mark: 'other',
  gap: 'gap',
  end: 'other',
};

export const LANE_WORDS: Record<Lane, string> = {
  people: 'people',
  command: 'programs',
  file: 'files',
  other: 'other',
  gap: 'gaps',
};

/** The lanes of which marks are left out: how many are drawn, and of how many. */
export function thinned(marks: readonly Mark[], folded: Film['folded']): { lane: Lane; drawn: number; of: number }[] {
  const left = new Map<Lane, number>();
  for (const [kind, count] of Object.entries(folded) as [MarkKind, number][]) left.set(LANE_OF[kind], (left.get(LANE_OF[kind]) ?? 0) + count);
  return [...left].map(([lane, count]) => {
    const drawn = marks.filter((mark) => mark.kind !== 'end' && LANE_OF[mark.kind] === lane).length;
    return { lane, drawn, of: drawn + count };
  });
}

export interface Cluster {
  x: number;
  lane: Lane;
  marks: Mark[];
}

/** Marks that stand nearer than `apart` to each other in one lane are drawn as one. */
export function cluster(marks: readonly Mark[], length: number, width: number, apart: number): Cluster[] {
  const last = new Map<Lane, Cluster>();
  const all: Cluster[] = [];
  for (const mark of marks) {
    const lane = LANE_OF[mark.kind] ?? 'other';
    const x = toX(mark.at, length, width);
    const before = last.get(lane);
    if (before && x - before.x < apart) before.marks.push(mark);
    else {
      const next = { x, lane, marks: [mark] };
      last.set(lane, next);
      all.push(next);
    }
  }
  return all;
}

/** Steps between labels, so that at most `most` of them stand on the line. */
export function ticks(length: number, most: number): number[] {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400].map((s) => s * 1000);
  const step = steps.find((one) => length / one <= Math.max(1, most)) ?? 86_400_000;
  const all: number[] = [];
  for (let at = step; at < length; at += step) all.push(at);
  return all;
}

/** Whether one jumps to marks of a kind. The end is none, and programs are too many to be. */
const isStop = (kind: MarkKind, kinds?: MarkKind[]) => (kinds ? kinds.includes(kind) : kind !== 'end' && kind !== 'command');

/** The mark after a moment, or the last one before it. */
export function beside(marks: readonly Mark[], at: number, forward: boolean, kinds?: MarkKind[]): Mark | undefined {
  const fits = (mark: Mark) => isStop(mark.kind, kinds);
  return forward
    ? marks.find((mark) => fits(mark) && mark.at > at)
    : marks.findLast((mark) => fits(mark) && mark.at < at);
}

/** How many marks that one would jump to are left out. */
export function leftOut(folded: Film['folded'], kinds?: MarkKind[]): number {
  return (Object.entries(folded) as [MarkKind, number][]).reduce((sum, [kind, count]) => sum + (isStop(kind, kinds) ? count : 0), 0);
}

/** The marks among cues, behind an entry. */
export function marksIn(cues: readonly Cue[], after = 0): Mark[] {
  return cues.flatMap(([at, seq, code, data]) => (code === 'm' && seq > after ? [{ at, seq, ...data }] : []));
}

/** What is said of cues that were played: the last mark, or the last gap if there is one. Programs are too many. */
export function toSay(cues: readonly Cue[]): string | undefined {
  const marks = marksIn(cues).filter((mark) => mark.kind !== 'command');
  return (marks.findLast((mark) => mark.kind === 'gap') ?? marks.at(-1))?.text;
}

/** For so long somebody is said to type who typed. */
const TYPES_MS = 1_000;

/** Who types at a moment: those who are between their keys, or else whoever typed last, a moment ago. */
export function typistsAt(typing: Typing | null | undefined, at: number): string[] {
  const now = new Set<number>();
  let last: [until: number, who: number] | undefined;
  for (const [from, until, who] of typing?.bursts ?? []) {
    if (from > at) break;
    if (at <= until) now.add(who);
    else if (at - until < TYPES_MS && until >= (last?.[0] ?? 0)) last = [until, who];
  }
  if (!now.size && last) now.add(last[1]);
  return [...now].flatMap((who) => typing?.people[who] ?? []);
}

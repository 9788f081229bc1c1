// A recording as a film (wire::film). All of it is read with the ticket of one look.
import { call, lines, type Time } from './call';
import type { RecordingFacts } from './index';

export type MarkKind =
  | 'people'
  | 'said'
  | 'typing'
  | 'frozen'
  | 'size'
  | 'command'
  | 'file'
  | 'forward'
  | 'mark'
  | 'gap'
  | 'end';

export interface Mark {
  at: number;
  seq: number;
  kind: MarkKind;
  text: string;
}

export interface Chapter {
  at: number;
  until: number;
  seq: number;
  text: string;
}

/** Who typed when; nothing where one person typed alone. */
export interface Typing {
  people: string[];
  /** First key, last key, who. */
  bursts: [at: number, until: number, who: number][];
}

export interface Film {
  facts: RecordingFacts;
  size: [number, number] | null;
  largest: [number, number] | null;
  length_ms: number;
  seq: number;
  live: boolean;
  activity: { bucket_ms: number; bytes: number[]; keys: number[] | null };
  idle: { at_least_ms: number; stretches: [number, number][] };
  marks: Mark[];
  /** How many marks of a kind were left out because there are too many. */
  folded: Partial<Record<MarkKind, number>>;
  chapters: Chapter[];
  /** Null where finding it out would take too long. */
  typing: Typing | null;
  damage: string | null;
}

export interface Picture {
  seq: number;
  at: number;
  cols: number;
  rows: number;
  dump: string;
}

export type Cue =
  | [at: number, seq: number, code: 'o' | 'b', data: string]
  | [at: number, seq: number, code: 'r', data: [number, number]]
  | [at: number, seq: number, code: 'm', data: { kind: MarkKind; text: string }];

export interface End {
  after: string;
  at: number;
  seq: number;
  more: boolean;
  live: boolean;
  length_ms: number;
  damage?: string;
}

/** Where reading or searching stopped before the recording's end, and why. */
export interface Damage {
  at: number;
  why: string;
}

export type ReelLine = { picture: Picture } | Cue | { end: End };

export type TranscriptLine =
  | { line: { at: number; seq: number; text: string } }
  | { fullscreen: { at: number; until: number } }
  | { end: End };

export type EventClass = 'commands' | 'files' | 'network' | 'transfers' | 'forwards' | 'people' | 'marks';

export interface FilmEvent {
  at: number;
  seq: number;
  class: EventClass;
  kind: string;
  text: string;
  process?: number;
  parent?: number;
  uid?: number;
  name?: string;
  times?: number;
  ms?: number;
  failed?: boolean;
}

export interface Hit {
  at: number;
  seq: number;
  row: number;
  text: string;
  from: number;
  to: number;
}

export type SearchLine = { hit: Hit } | { reached: { at: number } } | { end: End };

export type Paint = number | [number, number, number];

/** Characters that look alike. */
export interface Run {
  text: string;
  fg?: Paint;
  bg?: Paint;
  bold?: boolean;
  faint?: boolean;
  italic?: boolean;
  underline?: boolean;
  inverse?: boolean;
}

/** A small picture of a recording. */
export interface Preview {
  id: string;
  at: number;
  live: boolean;
  cols: number;
  rows: number;
  lines: Run[][];
}

/** How many pictures may be asked for at once. */
export const PREVIEWS = 50;
export const readPreviews = (ids: string[], signal?: AbortSignal) =>
  call<Preview[]>('recordings/previews', { ids }, signal);

/** What somebody remarked on a moment. */
export interface Comment {
  number: number;
  at: number;
  author: string;
  mine: boolean;
  made: Time;
  text: string;
}
export const listComments = (id: string) => call<Comment[]>('recordings/comments/list', { id });
export const addComment = (id: string, at: number, text: string) =>
  call<Comment>('recordings/comments/add', { id, at, text });
export const removeComment = (id: string, number: number) =>
  call<object>('recordings/comments/remove', { id, number });

type Parameters = Record<string, string | number | undefined>;

/** The address of something of a recording. */
export function filmAddress(id: string, what: string, parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, String(value));
  // RFC 3986, as auth reads it: `+` stands for itself.
  return `recordings/${encodeURIComponent(id)}/${what}?${query.toString().replaceAll('+', '%20')}`;
}

export async function readFilm(id: string, ticket: string, signal?: AbortSignal): Promise<Film> {
  for await (const film of lines<Film>(filmAddress(id, 'film', { ticket }), signal)) return film;
  throw new Error('The server sent no film.');
}

export const reel = (id: string, parameters: Parameters, signal: AbortSignal) =>
  lines<ReelLine>(filmAddress(id, 'reel', parameters), signal);
export const transcript = (id: string, parameters: Parameters, signal: AbortSignal) =>
  lines<TranscriptLine>(filmAddress(id, 'transcript', parameters), signal);
export const events = (id: string, parameters: Parameters, signal: AbortSignal) =>
  lines<{ event: FilmEvent } | { end: End }>(filmAddress(id, 'events', parameters), signal);
export const searchFilm = (id: string, parameters: Parameters, signal: AbortSignal) =>
  lines<SearchLine>(filmAddress(id, 'search', parameters), signal);

// Search through all recordings (wire::search).
import { lines, type Time } from './call';
import type { RecordingFacts } from './index';

export const WHATS = ['screen', 'commands', 'files', 'connections'] as const;
export type What = (typeof WHATS)[number];

/** A moment at which something was found. */
export interface Moment {
  id: string;
  at: number;
  seq: number;
  what: What;
  did?: string;
  failed?: boolean;
  text: string;
  from: number;
  to: number;
}

/** A recording, or the rest of one, in which nothing can be found. */
export interface Unread {
  id: string;
  user: string;
  node: string;
  started: Time;
  at: number;
  why: string;
}

export interface Progress {
  looked: number;
  of: number;
  started: Time | null;
}

export interface SearchedEnd {
  more: boolean;
  after?: string;
  reached: Progress;
  hits: number;
  unread: number;
}

export type SearchedLine =
  | { recording: RecordingFacts }
  | { hit: Moment }
  | { more: { id: string; seq: number; at: number } }
  | { unread: Unread }
  | { reached: Progress }
  | { end: SearchedEnd };

type Parameters = Record<string, string | number | undefined>;

export function searchAll(parameters: Parameters, signal: AbortSignal): AsyncGenerator<SearchedLine> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined && value !== '') query.set(name, String(value));
  // RFC 3986, as auth reads it: `+` stands for itself.
  return lines<SearchedLine>(`search?${query.toString().replaceAll('+', '%20')}`, signal);
}

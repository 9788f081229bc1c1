// The one way to ask something of the cluster. Types of what is asked stand beside this file, as `wire` has them.

/** Whose fault a failure is. `offline` is ours: nobody answered. */
export type Fault =
  | 'malformed'
  | 'unauthenticated'
  | 'denied'
  | 'not_found'
  | 'conflict'
  | 'too_many'
  | 'internal'
  | 'unavailable'
  | 'offline';

/** Milliseconds since 1970. */
export type Time = number;

const OF_STATUS: Record<number, Fault> = {
  400: 'malformed',
  401: 'unauthenticated',
  403: 'denied',
  404: 'not_found',
  409: 'conflict',
  413: 'malformed',
  429: 'too_many',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable',
};

const WORDS: Record<Fault, string> = {
  malformed: 'The server did not understand the request. Reload the page; it may be older than the server.',
  unauthenticated: 'You are not signed in any more. Sign in again.',
  denied: 'No role of yours allows this. Ask whoever manages roles.',
  not_found: 'There is no such thing, or it is not yours to see.',
  conflict: 'It was changed meanwhile. Reload and look again.',
  too_many: 'Too many tries. Wait a minute, then try again.',
  internal: 'The server made a mistake. Try again; if it stays, its log says more.',
  unavailable: 'The cluster does not answer at the moment. It will be tried again.',
  offline: 'The server cannot be reached. Check your connection.',
};

/** An answer that is no success, in words for a person. */
export class Failure extends Error {
  readonly fault: Fault;

  constructor(fault: Fault, message?: string) {
    super(message || WORDS[fault]);
    this.name = 'Failure';
    this.fault = fault;
  }

  /** Whatever was thrown, as a failure. */
  static of(thrown: unknown): Failure {
    if (thrown instanceof Failure) return thrown;
    // The connection broke, or took too long, while the answer was read.
    const broke = thrown instanceof TypeError || (thrown instanceof DOMException && thrown.name === 'TimeoutError');
    if (broke) return new Failure('offline');
    return new Failure('internal', thrown instanceof Error ? thrown.message : undefined);
  }

  /** Whether the same request may succeed later. */
  get mayPass(): boolean {
    return this.fault === 'offline' || this.fault === 'unavailable' || this.fault === 'internal';
  }
}

/** Sentences of the server begin small where they stand in a line of their own in a terminal; here they are sentences. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return trimmed;
  const first = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(first) ? first : `${first}.`;
}

/** What an answer that is no success says. */
export async function failureOf(response: Response): Promise<Failure> {
  const fault = OF_STATUS[response.status] ?? 'internal';
  try {
    const body = (await response.json()) as { fault?: Fault; message?: string };
    return new Failure(body.fault ?? fault, body.message && sentence(body.message));
  } catch {
    return new Failure(fault);
  }
}

/** What is told whenever an answer says that nobody is signed in. */
let signedOut: () => void = () => {};
export function onSignedOut(tell: () => void): void {
  signedOut = tell;
}

/** Calls whose "nobody" is an answer, and no news. */
const AT_THE_DOOR = /^(web\/(sign-in|second|passkey|me)|sign-up|invitation|share\/)/;

/** Asks for `path` and gives the answer, or throws a `Failure`. */
export async function call<Answer>(path: string, body: object = {}, signal?: AbortSignal): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(`/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal,
    });
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === 'AbortError') throw thrown;
    throw new Failure('offline');
  }
  if (!response.ok) {
    const failure = await failureOf(response);
    if (failure.fault === 'unauthenticated' && !AT_THE_DOOR.test(path)) signedOut();
    throw failure;
  }
  return (await response.json()) as Answer;
}

/** Reads a stream of JSON lines, one value a line, as they come. */
export async function* lines<Line>(path: string, signal?: AbortSignal): AsyncGenerator<Line> {
  let response: Response;
  try {
    response = await fetch(`/v1/${path}`, { signal });
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === 'AbortError') throw thrown;
    throw new Failure('offline');
  }
  if (!response.ok) {
    const failure = await failureOf(response);
    if (failure.fault === 'unauthenticated') signedOut();
    throw failure;
  }
  const reader = response.body?.getReader();
  if (!reader) return;
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += value ? decoder.decode(value, { stream: true }) : '';
      const parts = rest.split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) if (part.trim()) yield JSON.parse(part) as Line;
      if (done) break;
    }
    if (rest.trim()) yield JSON.parse(rest) as Line;
  } finally {
    reader.cancel().catch(() => {});
  }
}

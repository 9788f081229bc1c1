// The addresses of the pages.

export type Route =
  | { page: 'home' }
  | { page: 'sign-in' }
  | { page: 'invitation' }
  | { page: 'login' }
  | { page: 'nodes' }
  | { page: 'terminal'; node: string; login: string }
  | { page: 'sessions' }
  | { page: 'watch'; node: string; session: string }
  | { page: 'join' }
  | { page: 'search' }
  | { page: 'recordings' }
  | { page: 'recording'; id: string }
  | { page: 'audit' }
  | { page: 'settings'; part: string }
  | { page: 'me' }
  | { page: 'nowhere' };

/** What an address means. */
export function match(path: string): Route {
  let parts: string[];
  try {
    parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return { page: 'nowhere' };
  }
  const [first, second, third, fourth] = parts;
  if (fourth !== undefined) return { page: 'nowhere' };
  switch (first) {
    case undefined:
      return { page: 'home' };
    case 'sign-in':
    case 'invitation':
    case 'login':
    case 'nodes':
    case 'sessions':
    case 'join':
    case 'audit':
    case 'search':
    case 'me':
      return second === undefined ? { page: first } : { page: 'nowhere' };
    case 'terminal':
      return second && third ? { page: 'terminal', node: second, login: third } : { page: 'nowhere' };
    case 'watch':
      return second && third ? { page: 'watch', node: second, session: third } : { page: 'nowhere' };
    case 'recordings':
      if (third !== undefined) return { page: 'nowhere' };
      return second ? { page: 'recording', id: second } : { page: 'recordings' };
    case 'settings':
      return third === undefined ? { page: 'settings', part: second ?? 'users' } : { page: 'nowhere' };
    default:
      return { page: 'nowhere' };
  }
}

const part = encodeURIComponent;

/** Milliseconds as seconds for an address; rather a moment later than one too early, before what is to be seen there. */
export const tenths = (ms: number): number => Math.ceil(Math.max(0, Math.round(ms)) / 100) / 10;

/** Addresses, so that nobody writes one by hand. */
export const to = {
  terminal: (node: string, login: string) => `/terminal/${part(node)}/${part(login)}`,
  watch: (node: string, session: string, seat?: string) =>
    `/watch/${part(node)}/${part(session)}${seat ? `?as=${part(seat)}` : ''}`,
  recording: (id: string, seconds?: number, more: Record<string, string> = {}) => {
    const query = new URLSearchParams({ ...(seconds !== undefined && { t: String(tenths(seconds * 1000)) }), ...more }).toString();
    return `/recordings/${part(id)}${query ? `?${query}` : ''}`;
  },
  /** The recording's first gap. */
  gap: (id: string) => `/recordings/${part(id)}?go=gap`,
  search: (filter: Record<string, string> = {}) => {
    const query = new URLSearchParams(filter).toString();
    return `/search${query ? `?${query}` : ''}`;
  },
  recordings: (filter: Record<string, string> = {}) => {
    const query = new URLSearchParams(filter).toString();
    return `/recordings${query ? `?${query}` : ''}`;
  },
  audit: (filter: Record<string, string> = {}) => {
    const query = new URLSearchParams(filter).toString();
    return `/audit${query ? `?${query}` : ''}`;
  },
};

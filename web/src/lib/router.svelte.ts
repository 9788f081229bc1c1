// Which page an address means. Small on purpose: the pages are few, and all of them are known.
import { match, type Route } from './routes';

class Router {
  path = $state(location.pathname);
  search = $state(location.search);
  hash = $state(location.hash);
  /** Counts the addresses that were gone to: a page begins anew at each, and not with what it notes in its own. */
  visit = $state(0);
  readonly route: Route = $derived(match(this.path));
  readonly query = $derived(new URLSearchParams(this.search));

  constructor() {
    addEventListener('popstate', () => this.read());
    addEventListener('hashchange', () => this.read());
    addEventListener('click', (event) => this.follow(event));
  }

  /** Goes to an address of ours. */
  go(to: string, how: { replace?: boolean } = {}): void {
    if (to === location.pathname + location.search + location.hash) return;
    history[how.replace ? 'replaceState' : 'pushState'](null, '', to);
    const other = location.pathname !== this.path;
    this.read(how.replace);
    if (other && !how.replace) {
      // Whoever does not see the page hears that there is another one.
      queueMicrotask(() => {
        const content = document.getElementById('content');
        content?.scrollTo(0, 0);
        content?.focus({ preventScroll: true });
      });
    }
  }

  /** Changes parameters of this page, without a step in the history. */
  set(parameters: Record<string, string | null | undefined>): void {
    // Of the window, and not of the state: whoever sets them in an effect does not depend on them.
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(parameters)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    const text = query.toString();
    this.go(location.pathname + (text ? `?${text}` : '') + location.hash, { replace: true });
  }

  private read(noted = false): void {
    if (!noted && (location.pathname !== this.path || location.search !== this.search)) this.visit += 1;
    this.path = location.pathname;
    this.search = location.search;
    this.hash = location.hash;
  }

  private follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const anchor = (event.target as Element | null)?.closest?.('a[href]') as HTMLAnchorElement | null;
    if (!anchor || anchor.target || anchor.hasAttribute('download')) return;
    if (anchor.origin !== location.origin || anchor.pathname.startsWith('/v1/')) return;
    // A jump inside the page, such as the skip link.
    if (anchor.pathname === location.pathname && anchor.hash && anchor.search === location.search) return;
    event.preventDefault();
    this.go(anchor.pathname + anchor.search + anchor.hash);
  }
}

export const router = new Router();

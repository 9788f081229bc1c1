// Who is signed in here.
import { Failure, onSignedOut, readMe, signOut, type AdminRight, type Me } from './api';
import { router } from './router.svelte';
import { toasts } from './toast.svelte';

class Person {
  /** Undefined until it is known; null if nobody. */
  me = $state.raw<Me | null | undefined>(undefined);
  failure = $state.raw<Failure | undefined>(undefined);
  readonly user = $derived(this.me?.user ?? '');

  async load(): Promise<void> {
    try {
      this.me = await readMe();
      this.failure = undefined;
    } catch (thrown) {
      const failure = Failure.of(thrown);
      if (failure.fault === 'unauthenticated') {
        this.me = null;
        this.failure = undefined;
      } else this.failure = failure;
    }
  }

  may(right: AdminRight): boolean {
    return this.me?.admin.includes(right) ?? false;
  }

  /** They have just signed in. */
  came(me: Me): void {
    this.me = me;
    this.failure = undefined;
  }

  async leave(everywhere = false): Promise<void> {
    try {
      await signOut(everywhere);
    } catch (thrown) {
      const failure = Failure.of(thrown);
      if (failure.fault !== 'unauthenticated') {
        toasts.bad(`You are still signed in. ${failure.message}`);
        return;
      }
    }
    this.me = null;
    router.go('/sign-in');
  }

  /** Asks them to sign in, and to come back. The place is kept here and not in the address: it may hold the code of a link. */
  ask(): void {
    const here = location.pathname + location.search + location.hash;
    if (!here.startsWith('/sign-in')) sessionStorage.setItem('scry.then', here);
    router.go('/sign-in', { replace: true });
  }
}

export const person = new Person();

onSignedOut(() => {
  if (person.me) {
    person.me = null;
    toasts.say('You were signed out. Sign in again to go on.');
  }
});

/** The address to go to after signing in: one of ours, whatever was kept. */
export function placeAfter(): string {
  const then = sessionStorage.getItem('scry.then');
  return then && /^\/(?![/\\])/.test(then) && then !== '/' ? then : '/nodes';
}

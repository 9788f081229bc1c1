// Browsers: who is signed in, by which factors, and where else (wire::web).
import { call, Failure, type Time } from './call';
import type { AdminRight, SeatRole } from './model';

export type FactorKind = 'totp' | 'passkey' | 'recovery';

export const FACTOR_WORDS: Record<FactorKind, string> = {
  totp: 'authenticator app',
  passkey: 'passkey',
  recovery: 'recovery code',
};

export interface Me {
  user: string;
  cluster: string;
  roles: string[];
  session: number;
  /** Pin of the TLS authority, for those who come without a browser. */
  pin: string;
  expires: Time;
  admin: AdminRight[];
  share: SeatRole[];
  guests: SeatRole[];
  may_play: boolean;
  may_export: boolean;
  factors: FactorKind[];
  /** Nothing else works until a second factor was added or shown. */
  must_enrol: boolean;
}

export interface Door {
  cluster: string;
  /** Why passkeys do not work at this address. */
  no_passkeys?: string;
}

export interface Wants {
  ticket: string;
  factors: FactorKind[];
  passkey?: PublicKeyCredentialRequestOptionsJSON;
}

export type Entered = { signed_in: Me } | { wants: Wants };
export type Shown = { totp: string } | { passkey: unknown } | { recovery: string };

export const readDoor = () => call<Door>('web/door');
export const readMe = () => call<Me>('web/me');
export const signIn = (user: string, password: string) => call<Entered>('web/sign-in', { user, password });
export const showSecond = (ticket: string, shown: Shown) => call<Me>('web/second', { ticket, shown });
export const beginPasskeySignIn = () =>
  call<{ ticket: string; passkey: PublicKeyCredentialRequestOptionsJSON }>('web/passkey/begin');
export const finishPasskeySignIn = (ticket: string, passkey: unknown) =>
  call<Me>('web/passkey/finish', { ticket, passkey });
export const signOut = (everywhere = false) => call<object>('web/sign-out', { everywhere });

/** A terminal that waits to be let in (wire::arrival). */
export interface Arrival {
  code: string;
  user: string;
  cluster: string;
  machine: string;
  address: string;
  near: boolean;
  key: string;
  since: Time;
  expires: Time;
  no_passkeys?: string;
}
export type Proof =
  | { password: string }
  | { second: { ticket: string; shown: Shown } }
  | { passkey: { ticket: string; passkey: unknown } };
export const readArrival = (code: string) => call<Arrival>('arrival/read', { code });
export const beginArrivalPasskey = (code: string) =>
  call<{ ticket: string; passkey: PublicKeyCredentialRequestOptionsJSON }>('arrival/passkey', { code });
export const letIn = (code: string, by: Proof) => call<{ answer: string } | { wants: Wants }>('arrival/let-in', { code, by });
export const turnAway = (code: string) => call<object>('arrival/turn-away', { code });

export interface Invitation {
  cluster: string;
  user: string;
  expires: Time;
}
export const readInvitation = (code: string) => call<Invitation>('invitation', { code });
export const signUp = (code: string, password: string) => call<object>('sign-up', { code, password });

export interface WebSession {
  id: number;
  created: Time;
  last_seen: Time;
  expires: Time;
  address: string;
  browser: string;
  factors: FactorKind[];
  here: boolean;
}
export const listWebSessions = (signal?: AbortSignal) => call<WebSession[]>('web/sessions/list', {}, signal);
export const endWebSession = (id: number) => call<object>('web/sessions/end', { which: { one: id } });
export const endOtherWebSessions = () => call<object>('web/sessions/end', { which: 'others' });

export interface Factor {
  id: number;
  kind: FactorKind;
  name: string;
  created: Time;
  last_used: Time | null;
}
export interface Factors {
  factors: Factor[];
  recovery_left: number;
  demanded: boolean;
  no_passkeys?: string;
}
export interface Enrolled {
  factor: Factor;
  recovery?: string[];
}
export const listFactors = (signal?: AbortSignal) => call<Factors>('factors/list', {}, signal);
export const beginTotp = () => call<{ ticket: string; secret: string; uri: string }>('factors/totp/begin');
export const finishTotp = (ticket: string, code: string, name: string) =>
  call<Enrolled>('factors/totp/finish', { ticket, code, name });
export const beginPasskey = () =>
  call<{ ticket: string; passkey: PublicKeyCredentialCreationOptionsJSON }>('factors/passkey/begin');
export const finishPasskey = (ticket: string, passkey: unknown, name: string) =>
  call<Enrolled>('factors/passkey/finish', { ticket, passkey, name });
export const renewRecovery = () => call<{ recovery: string[] }>('factors/recovery');
export const removeFactor = (id: number) => call<object>('factors/remove', { id });
export const resetFactors = (user: string) => call<object>('factors/reset', { user });

/** Why this browser can make no passkey here; empty if it can. */
export function passkeyTrouble(no_passkeys: string | undefined): string {
  if (!('PublicKeyCredential' in globalThis) || !('parseCreationOptionsFromJSON' in PublicKeyCredential)) {
    return 'This browser cannot use passkeys here.';
  }
  return no_passkeys ? `Not at this address: ${no_passkeys}` : '';
}

/** Why somebody is not in, in words for them: no passkey was shown, or what was shown does not count. */
export const whyNot = (thrown: unknown): string =>
  thrown instanceof DOMException ? 'No passkey was shown. Try again, or use another way.' : Failure.of(thrown).message;

/** Makes a passkey; null if the person said no. */
export async function createPasskey(options: PublicKeyCredentialCreationOptionsJSON): Promise<unknown> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return asJson(await navigator.credentials.create({ publicKey }));
}

/** Shows a passkey; null if the person said no. */
export async function getPasskey(options: PublicKeyCredentialRequestOptionsJSON): Promise<unknown> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return asJson(await navigator.credentials.get({ publicKey }));
}

const asJson = (credential: Credential | null) => (credential as PublicKeyCredential | null)?.toJSON() ?? null;

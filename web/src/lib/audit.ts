// Events of the ledger, in words.
import type { AuditEvent } from './api';

const ENVELOPE = new Set(['time', 'user', 'address', 'node', 'login', 'connection', 'session', 'event', 'via']);

const WORDS: Record<string, (event: AuditEvent) => string> = {
  'auth.start': (e) => `Auth began to serve, version ${e.version}`,
  'user.sign_in': (e) => `Signed in with ${e.method}`,
  'user.sign_in_failed': (e) => `Sign-in refused: ${e.why}`,
  'user.invite': (e) => `Invited ${e.invited} as ${list(e.roles)}`,
  'user.sign_up': () => 'Took up the invitation',
  'user.remove': (e) => `Removed the user ${e.removed}`,
  'role.set': (e) => `Set the role ${e.role}`,
  'role.remove': (e) => `Removed the role ${e.role}`,
  'lock.create': (e) => `Locked ${e.target}${e.reason ? `: ${e.reason}` : ''}`,
  'lock.remove': (e) => `Lifted the lock on ${e.target}`,
  'lock.expire': (e) => `The lock on ${e.target} is over`,
  'certificate.issue': (e) => `Certificate for ${e.kind}${list(e.principals) ? `: ${list(e.principals)}` : ''}`,
  'node.join': () => 'Joined the cluster',
  'node.invite': (e) => `Invited a ${e.part}${e.name ? ` called ${e.name}` : ''}`,
  'node.remove': (e) => `Removed the node ${e.removed}`,
  'connection.open': () => 'Connected',
  'connection.close': (e) => (e.why ? `Disconnected: ${e.why}` : 'Disconnected'),
  'session.start': (e) => `Began a session: ${e.kind}${e.size ? `, ${e.size}` : ''}`,
  'session.exec': (e) => `Ran ${e.command}`,
  'session.end': (e) => (e.why ? `Session ended: ${e.why}` : `Session ended with status ${e.status ?? '?'}`),
  'session.gap': (e) => `Lost from the recording${e.gaps ? `, ${e.gaps} times` : ''}: ${e.cause}`,
  'session.recording_failed': (e) => `Recording failed: ${e.why}`,
  'session.recording_resumed': (e) => `Recording goes on: ${e.what}`,
  'forward.open': (e) => `Opened a ${e.direction} forward to ${e.target}`,
  'forward.close': (e) => `Closed the ${e.direction} forward to ${e.target}`,
  'forward.around_recorder': (e) => `Forward around the recorder, to ${e.target}`,
  'seat.taken': (e) => `Joined ${e.owner}’s session as ${e.seat}`,
  'seat.left': (e) => (e.why ? `Left the session: ${e.why}` : 'Left the session'),
  'seat.input_refused': (e) => `Tried to type: ${e.why}`,
  'seat.keyboard': (e) => (e.held === undefined || e.held === null ? 'All may type' : `The keyboard is with person ${e.held}`),
  'seat.size': (e) => (e.party === 0 ? 'The terminal has its owner’s size again' : `The terminal has the size of person ${e.party}`),
  'session.waits': (e) => `Waits: ${e.why}`,
  'session.frozen': (e) => `Frozen: ${e.why}`,
  'session.goes_on': () => 'Goes on',
  'session.process_outside': (e) => `Process ${e.pid} (${e.name}) was outside its group`,
  'file.want': (e) => `Wants to ${e.direction} ${e.path}`,
  'file.approve': (e) => `Approved ${e.path}`,
  'file.refuse': (e) => `Refused ${e.path}: ${e.why}`,
  'file.stop': (e) => `File stopped: ${e.why}`,
  'session.transfer': (e) =>
    `${e.direction === 'written' ? 'Uploaded' : 'Downloaded'} ${e.path}${e.result === 'ok' ? '' : `: ${e.result}`}`,
  'share.create': (e) => `Made a link as ${e.seat}${e.recipient ? ` for ${e.recipient}` : e.guests ? ' for guests' : ''}`,
  'share.use': (e) => `Came by a link into ${e.owner}’s session`,
  'share.refuse': (e) => `Link refused: ${e.why}`,
  'share.revoke': (e) => `Revoked link ${e.link}`,
  'access.denied': (e) => `Denied ${e.action}: ${e.why}`,
  'recording.stored': (e) => `Recording stored: ${e.verification}`,
  'recording.view': (e) => `Looked at the recording (${e.how})`,
  'recording.remove': (e) => `Removed ${e.owner}’s recording`,
  'recording.tampering': (e) => `Tampering: ${e.why}`,
  'recording.comment': (e) => `Commented: ${e.text}`,
  'recording.comment_removed': (e) => `Removed ${e.author}’s comment`,
  'recording.preview': () => 'Saw small pictures of recordings',
  'session.owner_lost': () => 'The owner’s connection was lost; the session waits',
  'session.owner_back': () => 'The owner came back to the session',
  'forward.listen': (e) => `Waits for ${e.direction} forwards at ${e.at}`,
  'forward.stop': (e) => `Waits no longer for ${e.direction} forwards at ${e.at}`,
  'forward.failed': (e) => `The ${e.direction} forward to ${e.target} failed: ${e.why}`,
  'account.refused': (e) => `The machine refused the account: ${e.why}`,
  'session.file_change': (e) => `File: ${e.change} ${e.path}${e.to ? ` to ${e.to}` : ''}${e.result ? `, ${e.result}` : ''}`,
  'session.not_opened': (e) => `Could not open ${e.path}: ${e.result}`,
  'session.kernel_seen': (e) => `The kernel saw ${e.programs} programs, ${e.files} files, ${e.connections} connections`,
  'session.kernel_event': (e) => `Process ${e.process}: ${e.what}${Number(e.count) > 1 ? `, ${e.count} times` : ''}`,
  'session.kernel_lost': (e) => `${e.lost} of what the kernel saw was lost`,
  'session.kernel_tampering': (e) => `Tampering with what the kernel sees: ${e.what}`,
  'session.kernel_blind': (e) => `The kernel does not see this session: ${e.why}`,
  'user.sign_out': () => 'Signed out',
  'user.invitation_refused': (e) => `Invitation refused: ${e.why}`,
  'factor.add': (e) => `Added a second factor: ${e.name || e.kind}`,
  'factor.remove': (e) => `Removed a second factor: ${e.name || e.kind}`,
  'factor.reset': (e) => `Took ${e.whose}’s second factors`,
  'factor.recovery_use': (e) => `Used a recovery code; ${e.left} are left`,
  'factor.recovery_renew': () => 'Made new recovery codes',
  'node.start': (e) => `The node began to serve, version ${e.version}`,
  'node.stop': (e) => `The node stopped${e.why ? `: ${e.why}` : ''}`,
  'audit.events_lost': (e) => `${e.count} events were lost`,
};

const list = (value: unknown): string => (Array.isArray(value) ? value.join(', ') : '');

/** One line for a person. */
export function eventWords(event: AuditEvent): string {
  const known = WORDS[event.event];
  if (known) return known(event);
  const rest = fieldsOf(event)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
  return rest ? `${event.event.replaceAll(/[._]/g, ' ')}: ${rest}` : event.event.replaceAll(/[._]/g, ' ');
}

/** What this event says beside what all of them say. */
export function fieldsOf(event: AuditEvent): [string, string][] {
  return Object.entries(event)
    .filter(([name, value]) => !ENVELOPE.has(name) && value !== null && value !== undefined)
    .map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]);
}

/** Whether a code warns. */
export const warns = (code: string): boolean => code.endsWith('W');

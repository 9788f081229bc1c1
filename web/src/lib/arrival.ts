// The address by which a terminal sends its person here: which one waits, and where it listens (wire::arrival::PAGE_PATH).

export interface Terminal {
  code: string;
  /** Where it listens on this machine, if it opened the page itself; 0 if it did not. */
  port: number;
  /** By which it knows this page again. */
  state: string;
}

/** Ports that nobody but an administrator can listen at are none of a terminal's. */
const FIRST_PORT = 1024;

/** What stands behind the `#`. Of a place that is not whole nothing counts but the code. */
export function terminalOf(hash: string): Terminal {
  const [code = '', port = '', state = '', more] = hash.replace(/^#/, '').split('.');
  const number = /^[0-9]{4,5}$/.test(port) ? Number(port) : 0;
  const whole = more === undefined && number >= FIRST_PORT && number < 65_536 && /^[0-9a-f]{64}$/.test(state);
  return whole ? { code, port: number, state } : { code, port: 0, state: '' };
}

/** The address at which a terminal of this machine hears its answer: that of the machine itself, and no other. */
export function terminalAt({ port, state }: Terminal, answer: string): string {
  return port ? `http://127.0.0.1:${port}/?${new URLSearchParams({ state, answer }).toString()}` : '';
}

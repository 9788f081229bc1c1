// What every scene needs: a browser that trusts the cluster, somebody signed in, the words on a terminal, `scry` as the
// cluster's admin, and the line to the test that plays the scene.
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const given = JSON.parse(process.env.SCRY_SCENE);
const { chromium } = createRequire(given.web)('playwright-core');
export const { origin, user, login, node, password, folder, web, calls } = given;

/** Longest that anything on a page is waited for. */
const PATIENCE_MS = 90_000;

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Lets the test do something out there, and waits for it; answers what it says. */
export async function ask(what) {
  console.log(`@${what}`);
  return (await answers.next()).value;
}

export function expect(holds, words) {
  if (!holds) throw new Error(`not so: ${words}`);
}

/** Polls until `look` finds something. */
export async function until(what, look, ms = PATIENCE_MS) {
  const began = Date.now();
  for (;;) {
    const found = await look();
    if (found) return found;
    const waited = Date.now() - began;
    if (waited > ms) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, Math.min(Math.max(50, waited / 8), 500)));
  }
}

/** The median of what was measured, what so many of it (0 to 1) are not above, and the most. */
export function percentiles(all, most) {
  const sorted = all.toSorted((a, b) => a - b);
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
  return [at(0.5), at(most), sorted.at(-1)];
}

// The cluster, from outside the browser -------------------------------------------------------------------------------

/** What `scry` prints for the cluster's admin. */
export const scry = (...args) =>
  new Promise((done, failed) => {
    const env = { ...process.env, SCRY_HOME: given.client };
    execFile(given.scry, args, { env, maxBuffer: 1 << 26 }, (error, out, said) =>
      error ? failed(new Error(`scry ${args.join(' ')}: ${said || error.message}`)) : done(out),
    );
  });

export const scryJson = async (...args) => JSON.parse(await scry(...args, '--json'));

/** The ledger's events of this word, oldest first. */
export const audit = (word) => scryJson('audit', 'ls', '--limit', '1000', '--event', word);

/** Waits until the ledger has one that fits. */
export const told = (word, fits) => until(`${word} in the ledger`, async () => (await audit(word)).find(fits));

/** Sets a role, given as TOML. */
export async function setRole(name, toml) {
  const path = `${folder}/${name}.toml`;
  writeFileSync(path, `name = '${name}'\n${toml}\n`);
  await scry('roles', 'set', path);
}

/** Invites somebody; answers the address that is sent to them. */
export async function invite(name, ...roles) {
  const made = await scryJson('users', 'add', name, ...roles.flatMap((role) => ['--role', role]));
  const { pathname, hash } = new URL(made.page);
  // Certificates and passkeys are for names here.
  return origin + pathname + hash;
}

// Signing up and in ---------------------------------------------------------------------------------------------------

/** Sets the password that an invitation asks for. */
export async function takeUp(page, invitation) {
  await page.goto(invitation);
  await page.getByLabel('New password').fill(password);
  await page.getByLabel('The same again').fill(password);
  await page.getByRole('button', { name: 'Set the password' }).click();
}

/** Signs up by the page, without a second factor. */
export async function signUp(page, name, ...roles) {
  await takeUp(page, await invite(name, ...roles));
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.waitForURL('**/nodes');
}

/** Shows name and password at the door. */
export async function knock(page, who = user) {
  await page.getByLabel('User', { exact: true }).fill(who);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

/** Signs in through the page. */
export async function signIn(page, who = user) {
  await page.goto(`${origin}/sign-in`);
  await knock(page, who);
  await page.waitForURL((url) => url.pathname !== '/sign-in');
}

/** Signs out through the page. */
export async function signOut(page) {
  await page.getByRole('navigation', { name: 'Places' }).getByRole('button').last().click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in');
}

/** Gives the page's browser an authenticator, as a laptop with a fingerprint reader has one. */
export async function authenticator(page) {
  const line = await page.context().newCDPSession(page);
  await line.send('WebAuthn.enable');
  const options = {
    protocol: 'ctap2',
    transport: 'internal',
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
    automaticPresenceSimulation: true,
  };
  await line.send('WebAuthn.addVirtualAuthenticator', { options });
}

/** What an authenticator app shows (RFC 6238), so many steps of half a minute from now. */
export function totp(secret, steps = 0) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret.replace(/\W/g, '')].map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const count = Buffer.alloc(8);
  count.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const mac = createHmac('sha1', key).update(count).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

// A terminal ----------------------------------------------------------------------------------------------------------

/** What stands on the page's terminal. Without WebGL it is text in the page. */
export const screen = (page) =>
  page.locator('.xterm-rows').first().evaluate((rows) => [...rows.children].map((row) => row.textContent.replaceAll('\u00a0', ' ').trimEnd()).join('\n'));

/** As `screen`, but for the last row: there whoever looks on is told for some seconds what happens. */
export const above = async (page) => (await screen(page)).replace(/\n[^\n]*$/, '');

/** How it looks, too: rows of letters that look alike, with their colours and the rest, without what is blank at their ends; the
 * cursor is a look; its shape, where the page has the keyboard. */
export const look = (page) =>
  page.locator('.xterm-rows').first().evaluate((rows) =>
    [...rows.children].map((row) => {
      const runs = [];
      for (const { className, style, textContent } of row.children) {
        const marks = className.split(' ').filter((name) => name && name !== 'xterm-cursor-blink').sort();
        const how = [...marks, style.color, style.backgroundColor, style.textDecoration].filter(Boolean).join(' ');
        const text = textContent.replaceAll('\u00a0', ' ');
        if (runs.at(-1)?.[0] === how) runs.at(-1)[1] += text;
        else runs.push([how, text]);
      }
      if (runs.at(-1)?.[0] === '') runs.push(['', runs.pop()[1].trimEnd()]);
      return runs.filter(([, text]) => text).map(([how, text]) => (how ? `{${how}: ${text}}` : text)).join('');
    }).join('\n'));

/** Waits until the terminal shows a text, and answers all of it. */
export async function shows(page, text, ms) {
  let seen = '';
  try {
    return await until(text, async () => {
      seen = await screen(page).catch(() => '');
      return seen.includes(text) && seen;
    }, ms);
  } catch (error) {
    throw new Error(`${error.message}; the terminal shows:\n${seen}`);
  }
}

/** Types into the page's terminal. */
export async function type(page, text) {
  await page.locator('.xterm-helper-textarea').first().focus();
  await page.keyboard.type(text);
}

/** Where the middle of a cell of the page's terminal is, counted from 1. */
export async function cell(page, column, row) {
  const { x, y, width, height } = await page.locator('.xterm-screen').first().boundingBox();
  const [cols, rows] = await page.locator('.xterm-rows').first().evaluate((drawn) => {
    const letters = document.createElement('span');
    letters.textContent = 'W'.repeat(10);
    drawn.append(letters);
    const wide = letters.getBoundingClientRect().width / 10;
    letters.remove();
    return [Math.round(drawn.getBoundingClientRect().width / wide), drawn.children.length];
  });
  return [x + ((column - 0.5) * width) / cols, y + ((row - 0.5) * height) / rows];
}

/** Where a text begins on the page's terminal. */
export async function placeOf(page, text) {
  const rows = (await shows(page, text)).split('\n');
  const row = rows.findLastIndex((row) => row.includes(text));
  return cell(page, rows[row].lastIndexOf(text) + 1, row + 1);
}

/** Opens a terminal on the node, with a prompt of its own: answers when the shell has it. */
export async function openTerminal(page, query = '') {
  await page.goto(`${origin}/terminal/${node}/${login}${query}`);
  await page.getByRole('button', { name: 'Files' }).and(page.locator(':enabled')).waitFor();
  // What is typed before the shell has begun it finds when it reads.
  await type(page, 'exec env PS1=sc""ry: bash --norc --noprofile\n');
  await shows(page, 'scry:', 30_000);
}

/** Waits until the page says that the session is over. */
export const isOver = (page) => page.getByRole('heading', { name: 'The session is over' }).waitFor();

// Others in a session -------------------------------------------------------------------------------------------------

/** Opens the panel with people and what they say, if it is not. */
export async function panel(page) {
  const button = page.getByRole('button', { name: /^People and sharing/ });
  if ((await button.getAttribute('aria-expanded')) !== 'true') await button.click();
  return page.getByRole('complementary', { name: 'People and sharing' });
}

/** Makes a link into the page's session, as its owner; answers what stands there to be copied: its address, and the lines for
 * `scry` and for ssh. `who`: `account`, `guests` or a user's name. */
export async function ways(page, seat, who = 'account') {
  await (await panel(page)).getByRole('button', { name: 'Invite' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('As what').selectOption(seat);
  const one = who !== 'account' && who !== 'guests';
  await dialog.getByLabel('Who may use it').selectOption(one ? 'user' : who);
  if (one) await dialog.getByLabel('User', { exact: true }).fill(who);
  await dialog.getByRole('button', { name: 'Make the link' }).click();
  await dialog.getByRole('img', { name: 'QR code of the link' }).waitFor();
  const [address, join, ssh] = await dialog.locator('code:has(+ button)').allInnerTexts();
  await dialog.getByRole('button', { name: 'Done' }).click();
  return { address, join, ssh };
}

/** As `ways`; answers the address alone. */
export const share = async (...what) => (await ways(...what)).address;

/** The line of the panel about somebody. */
export const present = async (page, name) => (await panel(page)).getByRole('listitem').filter({ hasText: name });

/** Does something with somebody in the page's session, by the menu beside them. */
export async function withPerson(page, name, what) {
  await (await panel(page)).getByRole('button', { name: `What to do with ${name}` }).click();
  await page.getByRole('menuitem', { name: what }).click();
}

/** Says something to all. */
export async function say(page, text) {
  const side = await panel(page);
  await side.getByLabel('Say something to all').fill(text);
  await side.getByRole('button', { name: 'Say it' }).click();
}

/** Waits until something that was said stands there. */
export const hears = async (page, text) => (await panel(page)).getByRole('log').getByText(text).last().waitFor();

/** Waits until all pages show what the first shows, each line in its row and column, on as many rows; `as` says how they are
 * looked at. */
export async function allSee(pages, as = screen) {
  let seen = [];
  await until('all see the same', async () => {
    seen = await Promise.all(pages.map((page) => as(page).catch((error) => error.message)));
    return seen.every((one) => one === seen[0]);
  }).catch((error) => {
    throw new Error(`${error.message}:\n${seen.join('\n-----\n')}`);
  });
}

// Hostile words -------------------------------------------------------------------------------------------------------

/** What runs where words become HTML. */
export const EVIL = '<img src=x onerror="window.ran=1">';
/** The same for where there is little room. */
export const EVIL_NAME = '<img src=x onerror=ran=1>';
/** And in one word. */
export const EVIL_WORD = '<img/src="x"/onerror="ran=1">';

/** Whatever hostile people say stands there as it is, and nothing of it is an element. */
export async function nothingRan(pages) {
  for (const page of pages) {
    const found = await page.evaluate(() => [window.ran, document.querySelectorAll('[onerror], img[src="x"]').length]);
    expect(!found[0] && found[1] === 0, `words became HTML on ${page.url()}: ${found}`);
  }
}

/** Whether `nothingRan` would have said so: a page without rules makes HTML of the same words. */
export async function wouldRun(page, ...words) {
  for (const evil of words) {
    await page.goto('about:blank');
    await page.evaluate((evil) => void (document.body.innerHTML = evil), evil);
    await until(`${evil} to run`, () => page.evaluate(() => window.ran === 1));
    const told = await nothingRan([page]).catch((error) => error.message);
    expect(told?.includes('words became HTML'), `${evil} is found where it runs: ${told}`);
  }
}

// The stage -----------------------------------------------------------------------------------------------------------

/** What starts a browser that paints terminals by elements: the letters of one that is painted by WebGL could not be read. */
const ELEMENTS = ['--disable-3d-apis'];
/** By WebGL, as people's browsers do, here without a graphics card. */
export const WEBGL = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader'];

/** Plays a scene in a fresh browser. What goes wrong is shown with the page as it stood. `another` gives a page in a window
 * that shares nothing with the first: somebody else's browser, of those that `launch` has started. */
export async function play(scene) {
  const browsers = [];
  const launch = async (flags) => {
    const how = { executablePath: given.chromium, args: ['--no-sandbox', ...flags], env: { ...process.env, HOME: given.home } };
    browsers.push(await chromium.launch(how));
    return browsers.at(-1);
  };
  const browser = await launch(ELEMENTS);
  const pages = [];
  const notes = [];
  const another = async (options, from = browser) => {
    const context = await from.newContext(options);
    context.setDefaultTimeout(PATIENCE_MS);
    context.on('response', async (answer) => {
      if (answer.status() < 400) return;
      const said = await answer.text().catch(() => '');
      notes.push(`${answer.status()}: ${answer.request().method()} ${answer.url()}: ${said}`);
    });
    context.on('page', (page) => {
      pages.push(page);
      page.on('console', (message) => message.text().startsWith('Failed to load') || notes.push(`${message.type()}: ${message.text()}`));
      page.on('pageerror', (error) => notes.push(`thrown: ${error.message}`));
    });
    return context.newPage();
  };
  try {
    await scene({ browser, page: await another(), another, launch, notes });
    const broken = notes.filter((note) => /Content Security Policy|TrustedHTML|^thrown:|svelte\.dev\/e\/|the request cannot be read|"fault":"internal"/.test(note));
    expect(broken.length === 0, `no rule was broken, and nothing asked that cannot be: ${broken.join('\n')}`);
  } catch (error) {
    console.error(error.stack);
    console.error(notes.slice(-20).join('\n'));
    for (const [number, page] of pages.entries()) {
      const path = `${folder}/scene-${number}.png`;
      await page.screenshot({ path }).then(() => console.error(`${page.url()} looks like ${path}`), () => {});
      console.error((await page.locator('body').innerText().catch(() => '')).slice(0, 2000));
    }
    process.exitCode = 1;
  } finally {
    await Promise.all(browsers.map((one) => one.close()));
  }
  process.exit();
}

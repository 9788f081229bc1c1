// What every scene needs: a browser that trusts the cluster, somebody signed in, the words on a terminal, and the line to the
// test that plays the scene.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const given = JSON.parse(process.env.SCRY_SCENE);
const { chromium } = createRequire(given.web)('playwright-core');
export const { origin, user, login, node, password, folder, web } = given;

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
export async function until(what, look, ms = 15_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 25));
  }
}

/** What stands on the page's terminal. Without WebGL it is text in the page. */
export const screen = (page) => page.locator('.xterm-rows').first().innerText();

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

/** Signs in through the page. */
export async function signIn(page, who = user) {
  await page.goto(`${origin}/sign-in`);
  await page.getByLabel('User', { exact: true }).fill(who);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.waitForURL((url) => url.pathname !== '/sign-in');
}

/** Plays a scene in a fresh browser. What goes wrong is shown with the page as it stood. */
export async function play(scene) {
  const browser = await chromium.launch({
    executablePath: given.chromium,
    // The letters of a terminal that is painted by WebGL could not be read.
    args: ['--no-sandbox', '--disable-3d-apis'],
    env: { ...process.env, HOME: given.home },
  });
  const context = await browser.newContext();
  const pages = [];
  const notes = [];
  context.on('page', (page) => {
    pages.push(page);
    page.on('console', (message) => notes.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => notes.push(`thrown: ${error.message}`));
  });
  try {
    await scene({ browser, context, page: await context.newPage(), notes });
    const broken = notes.filter((note) => /Content Security Policy|TrustedHTML|^thrown:/.test(note));
    expect(broken.length === 0, `no rule of the page was broken: ${broken.join('\n')}`);
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
    await browser.close();
  }
  process.exit();
}

// Every page and what opens on it, light and dark, on a phone, a tablet and a desk, with what axe finds in it: nothing serious and
// nothing critical; with hostile words on all of them, of which nothing runs; and what is done there by hand.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { byKeys, locksAndLedger, peopleAndMachines, pictures, plant } from './desk.mjs';
import {
  EVIL, EVIL_NAME, EVIL_WORD, expect, login, node, nothingRan, openTerminal, origin, panel, play, scryJson, shows, signIn, type,
  until, user, web, wouldRun,
} from './kit.mjs';

/** What pages may do, word for word. */
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; " +
  "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html";

const axe = readFileSync(createRequire(web).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds that is serious or worse in all of the page or in a part, by all of its rules or by one. Colours that a recorded
 * program chose are not looked at. The page's own rules forbid scripts from elsewhere: the checker comes in beside them. */
async function faults(page, rule, part) {
  const line = await page.context().newCDPSession(page);
  const how = JSON.stringify({ resultTypes: ['violations'], ...(rule && { runOnly: [rule] }) });
  const where = JSON.stringify({ exclude: ['[data-foreign]', '.xterm'], ...(part && { include: [part] }) });
  const run = `(async () => { if (!globalThis.axe) { ${axe}; } const found = await globalThis.axe.run(${where}, ${how});
    return JSON.stringify(found.violations.map(({ impact, id, nodes }) => ({ impact, id, where: nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)) }))); })()`;
  const { result, exceptionDetails } = await line.send('Runtime.evaluate', { expression: run, awaitPromise: true, returnByValue: true });
  expect(!exceptionDetails, `axe runs: ${exceptionDetails?.text}`);
  await line.detach();
  return JSON.parse(result.value).filter(({ impact }) => impact === 'serious' || impact === 'critical');
}

/** Whether it would say so: of a part that nobody can use, and not of what is beside it. */
async function wouldFind(page) {
  await page.goto('about:blank');
  await page.evaluate(() => {
    document.body.innerHTML = '<div role="dialog" aria-label="odd"><button></button><p style="color: #bbb; background: #fff">dim</p></div><img src="x">';
  });
  const ids = (await faults(page, undefined, DIALOG)).map(({ id }) => id).sort();
  expect(ids.join() === 'button-name,color-contrast', `what is wrong in a part is found, and nothing else: ${ids}`);
  expect((await faults(page)).some(({ id }) => id === 'image-alt'), 'and in all of it');
}

/** How much of a page has moved by itself since it was opened, as browsers count it: 0 is nothing, 0.1 disturbs people (Layout
 * Instability, W3C). */
const moved = (page) =>
  page.evaluate(
    () =>
      new Promise((done) => {
        let sum = 0;
        const watch = new PerformanceObserver((list) => {
          for (const { hadRecentInput, value } of list.getEntries()) if (!hadRecentInput) sum += value;
        });
        watch.observe({ type: 'layout-shift', buffered: true });
        // What was before is handed over in a task of its own.
        setTimeout(() => done(sum), 100);
      }),
  );

/** Whether it would say so. */
async function wouldSeeMove(page) {
  await page.goto('about:blank');
  await page.evaluate(async () => {
    const frame = () => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    document.body.innerHTML = `<p>${'words '.repeat(500)}</p>`;
    await frame();
    document.body.insertAdjacentHTML('afterbegin', '<div style="height: 300px"></div>');
    await frame();
  });
  expect((await moved(page)) > 0.1, 'what moves is seen to move');
}

const PLACES = ['nodes', 'sessions', 'recordings', 'search', 'audit', 'me', 'settings/users', 'settings/roles', 'settings/nodes', 'settings/locks', 'settings/verification', 'settings/links', 'no/such/page'];
/** How much of a page may move while it comes. */
const MOVES = 0.05;
/** A phone, a tablet, a desk. */
const SIZES = [[390, 844], [820, 1180], [1440, 900]];
const [DIALOG, MENU] = ['[role=dialog]', '[role=menu]'];

await play(async ({ page, another }) => {
  const found = [];
  let looked = 0;
  let most = 0;
  // Of a theme only the colours are its own.
  const THEMES = [['light', undefined], ['dark', 'color-contrast']];
  const there = (page, what) =>
    until(`${what} to be there`, () => page.evaluate(() => !document.querySelector('[aria-busy=true], [aria-label=Loading], .breathe[class*=bg-line]')));
  const look = async (page, what, part) => {
    await there(page, what);
    const before = page.viewportSize();
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      // What has another place now is drawn there.
      await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
      for (const [colorScheme, rule] of THEMES) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        looked += 1;
        for (const fault of await faults(page, rule, part)) found.push(`${what}, ${colorScheme}, ${width}: ${JSON.stringify(fault)}`);
      }
      if (!part && (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth))) found.push(`${what} is wider than ${width}`);
    }
    await page.setViewportSize(before);
    await nothingRan([page]);
  };
  /** What opens on a page, alone: the page behind it was looked at. */
  const opened = async (page, what, open, part = DIALOG) => {
    await open();
    await page.locator(part).first().waitFor();
    await look(page, what, part);
    await page.keyboard.press('Escape');
    await page.locator(part).first().waitFor({ state: 'detached' });
  };
  const press = (page, name) => () => page.getByRole('main').getByRole('button', { name }).first().click();
  const menu = (page, name) => () => page.getByRole('button', { name }).first().click();
  const door = async (nobody) => {
    await wouldRun(nobody, EVIL, EVIL_NAME, EVIL_WORD);
    await wouldFind(nobody);
    await wouldSeeMove(nobody);
    for (const place of ['sign-in', 'invitation', 'login', 'login#abcd-efgh', 'join#share-0123456789abcdefghjkmnpqrs']) {
      // Of a page that is there already, and only its part changes, there is no answer.
      const answer = await nobody.goto(`${origin}/${place}`);
      const policy = answer?.headers()['content-security-policy'] ?? POLICY;
      expect(policy === POLICY, `what the page may do: ${policy}`);
      await look(nobody, place);
    }
  };
  await Promise.all([plant(), another().then(door)]);
  await signIn(page);
  await openTerminal(page);
  await type(page, `printf '\\e]0;${EVIL}\\a\\e]2;${EVIL}\\a'; echo '${EVIL}' ''there\n`);
  await shows(page, `${EVIL} there`);
  await panel(page);
  await look(page, `terminal/${node}/${login}`);
  await opened(page, 'invite into a session', menu(page, 'Invite'));
  await opened(page, 'files of a terminal', menu(page, 'Files'));
  await opened(page, 'menu of a terminal', menu(page, 'More'), MENU);
  expect(!(await page.title()).includes('<'), `the title is the page's: ${await page.title()}`);
  const [{ id }] = await scryJson('sessions');
  const second = await page.context().newPage();
  await second.emulateMedia({ reducedMotion: 'reduce' });
  await second.goto(`${origin}/recordings/${id}`);
  await second.getByRole('button', { name: 'Following' }).waitFor();
  await look(second, 'recording');
  for (const tab of ['Events', 'Find', 'Comments']) {
    await second.getByRole('tab', { name: tab }).click();
    await look(second, `recording, ${tab}`, '[role=tabpanel]');
  }
  await opened(second, 'menu of the player', menu(second, 'More'), MENU);
  await opened(second, 'speeds of the player', menu(second, 'Speed 1'), MENU);
  await byKeys(second);
  await locksAndLedger(second);
  await peopleAndMachines(second);
  await pictures(second, 'sessions', 'recordings');
  /** What opens on them. */
  const OPENS = {
    nodes: [
      ['palette', () => second.keyboard.press('Control+K')],
      ['keys', () => second.keyboard.press('?')],
      ['menu of the person', () => second.getByRole('navigation', { name: 'Places' }).getByRole('button').last().click(), MENU],
    ],
    audit: [['an event of the ledger', () => second.getByRole('row').nth(1).click()]],
    me: [['a second factor', press(second, /second factor|Add/)]],
    'settings/users': [
      ['invite somebody', press(second, 'Invite somebody')],
      ['menu of a user', menu(second, /^What to do with/), MENU],
    ],
    'settings/roles': [['who may get in where', press(second, 'Who may get in where?')]],
    'settings/nodes': [['add a node', press(second, 'Add a node')], ['remove a node', press(second, /^Remove/)]],
    'settings/locks': [['lock something', press(second, 'Lock something')], ['lift a lock', press(second, /^Lift/)]],
  };
  for (const place of PLACES) {
    await second.goto(`${origin}/${place}`);
    await second.getByRole('main').waitFor();
    await there(second, place);
    const much = await moved(second);
    most = Math.max(most, much);
    if (much > MOVES) found.push(`${place} moves by ${much} while it comes`);
    await look(second, place);
    for (const [what, open, part] of OPENS[place] ?? []) await opened(second, what, open, part);
  }
  // What is found stands there word for word, beside words that were searched for.
  await second.goto(`${origin}/search?q=${encodeURIComponent(EVIL)}`);
  await second.locator('[data-hit]').filter({ hasText: EVIL }).first().waitFor();
  await look(second, 'search, with what it found');
  await second.goto(`${origin}/search?q=${encodeURIComponent(`${EVIL}(`)}&regex=1`);
  await second.getByRole('heading', { name: 'This could not be searched for' }).waitFor();
  await look(second, 'search, for what is no expression');
  // A role is asked about before anybody has it; the answer is the server's, and nothing is saved.
  await second.goto(`${origin}/settings/roles`);
  await second.getByRole('button', { name: 'New role' }).click();
  const dialog = second.getByRole('dialog');
  await dialog.getByLabel('Name', { exact: true }).fill('fresh');
  await dialog.getByLabel('Logins').first().fill('daemon');
  await dialog.getByLabel('On nodes with labels').first().fill('*');
  await dialog.getByRole('button', { name: 'Review' }).click();
  for (const [field, words] of [['User', user], ['Login', 'daemon'], ['Node', node]]) await dialog.getByLabel(field, { exact: true }).fill(words);
  await dialog.getByRole('button', { name: 'Ask' }).click();
  await dialog.getByText(`${user} as daemon@${node}: allowed.`).waitFor();
  await dialog.getByText('role fresh: allow.logins').first().waitFor();
  await dialog.getByLabel('How').selectOption('moderator');
  await dialog.getByLabel('Whose session').fill(user);
  await dialog.getByRole('button', { name: 'Ask' }).click();
  await dialog.getByText(`${user} as a moderator in a session of ${user} as daemon@${node}: denied.`).waitFor();
  await look(second, 'a role that is asked about');
  expect(!(await scryJson('roles', 'ls')).some(({ name }) => name === 'fresh'), 'nothing is saved');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  const fresh = async () => (await scryJson('roles', 'ls')).find(({ name }) => name === 'fresh');
  expect((await fresh())?.allow.logins.includes('daemon'), 'it is saved when that is said');
  await second.getByRole('row').filter({ hasText: 'fresh' }).first().click();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await second.getByRole('dialog', { name: 'Remove the role fresh?' }).getByRole('button', { name: 'Remove' }).click();
  await until('the role to be gone', async () => !(await fresh()));
  await nothingRan([page, second]);
  console.log(`axe looked ${looked} times; no page moved by more than ${most}`);
  expect(found.length === 0, `nothing serious is found:\n${found.join('\n')}`);
});

// Hostile words wherever somebody can put some; and the desk of whoever manages a cluster: nodes, the field that finds everything,
// people, machines, roles, locks, the ledger, each with what it does, as `scry` sees it.
import { EVIL, EVIL_NAME, EVIL_WORD, audit, expect, login, node, origin, scry, scryJson, setRole, told, until, user } from './kit.mjs';

/** Plants hostile words from outside: what a role and a lock are for, a label that an invitation gives, and what is run. */
export async function plant() {
  await setRole('evil', `description = '${EVIL}'\n[allow]\nlogins = ['daemon']\n[allow.nodes]\nevil = ['${EVIL_NAME}']`);
  await Promise.all([
    scry('lock', '--login', 'games', '--reason', EVIL),
    scry('nodes', 'invite', '--name', 'evil', '--label', `evil=${EVIL_NAME}`),
    scry('ssh', node, `true '${EVIL}'`),
  ]);
}

const press = async (page, ...all) => {
  for (const key of all) await page.keyboard.press(key);
};

/** By keys alone: a node is found and a terminal opened on it; places, themes and the list of keys; and the field that finds it all. */
export async function byKeys(page) {
  await page.goto(`${origin}/nodes`);
  const row = page.getByRole('row').filter({ hasText: node });
  await row.waitFor();
  await row.getByText(EVIL_NAME).waitFor();
  await press(page, '/');
  await page.keyboard.type('no such thing');
  await page.getByText('No node fits').waitFor();
  await press(page, 'Escape');
  await row.waitFor();
  await page.keyboard.type(`${node} evil=`);
  await row.waitFor();
  await press(page, 'Enter');
  await page.waitForURL(`**/terminal/${node}/${login}`);
  await page.getByRole('button', { name: 'Files' }).and(page.locator(':enabled')).waitFor();
  // The keys are the terminal's, but for a few.
  await press(page, 'Control+Shift+K');
  const field = page.getByRole('combobox', { name: 'Find a node, a session, a page' });
  await field.fill('what is shut');
  await page.getByRole('option', { name: /^Locks/ }).and(page.locator('[aria-selected=true]')).waitFor();
  await press(page, 'Enter');
  await page.waitForURL('**/settings/locks');
  await press(page, 'Control+K');
  await field.fill(`${login}@${node}`);
  await page.getByRole('option', { name: `${login}@${node}` }).first().waitFor();
  await press(page, 'Enter');
  await page.waitForURL(`**/terminal/${node}/${login}`);
  await page.getByRole('button', { name: 'End the session' }).click();
  await page.waitForURL((url) => !url.pathname.startsWith('/terminal'));
  for (const [key, place] of [['n', 'nodes'], ['s', 'sessions'], ['r', 'recordings'], ['f', 'search'], ['e', 'settings'], ['a', 'audit']]) {
    await press(page, 'g', key);
    await page.waitForURL(`**/${place}`);
    if (place !== 'search') continue;
    // There one types at once, and has the keys again behind it.
    const search = page.getByLabel('Search all recordings', { exact: true });
    await until('the field to have the keyboard', () => search.evaluate((field) => field === document.activeElement));
    await press(page, 'Escape');
  }
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  const before = await theme();
  await press(page, 'g', 't');
  expect((await theme()) !== before, 'the theme is another one');
  await press(page, 'g', 't');
  expect((await theme()) === before, 'and the first one again');
  await press(page, '?');
  const list = page.getByRole('dialog', { name: 'Keys' });
  await list.getByText('Light or dark').waitFor();
  await press(page, 'Escape');
  await list.waitFor({ state: 'detached' });
}

/** A lock that is set and lifted on the page, with its reason in the ledger, which is followed, filtered and looked into. */
export async function locksAndLedger(page) {
  const locks = async () => (await scryJson('locks')).filter(({ target }) => target.login === 'daemon');
  await page.goto(`${origin}/settings/locks`);
  await page.getByText(EVIL).waitFor();
  await page.getByRole('button', { name: 'Lock something' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('What', { exact: true }).selectOption('login');
  await dialog.getByLabel('Name', { exact: true }).fill('daemon');
  await dialog.getByLabel(/^Why/).fill(`because ${EVIL}`);
  await dialog.getByRole('button', { name: 'Lock', exact: true }).click();
  const row = page.getByRole('row').filter({ hasText: 'daemon' });
  await row.getByText(`because ${EVIL}`).waitFor();
  expect((await locks())[0]?.reason === `because ${EVIL}`, 'it is locked');

  await page.goto(`${origin}/audit`);
  await page.getByRole('combobox', { name: 'Events' }).selectOption('lock.');
  await page.waitForURL('**/audit?word=lock.');
  const rows = page.getByRole('row').filter({ has: page.getByRole('cell') });
  await until('locks alone', async () => {
    const all = await rows.allInnerTexts();
    return all.length >= 2 && all.every((text) => /Locked|Lifted|lock on/.test(text));
  });
  await page.getByRole('textbox', { name: 'User' }).fill('nobody-here');
  await page.getByText('No event fits').waitFor();
  await page.getByRole('textbox', { name: 'User' }).fill(user);
  await rows.filter({ hasText: 'because' }).click();
  const detail = page.getByRole('dialog');
  await detail.getByText('lock.create').first().waitFor();
  const [event] = (await audit('lock.create')).filter(({ reason }) => reason === `because ${EVIL}`);
  for (const text of [event.reason, new Date(event.time).toISOString()]) await detail.getByText(text, { exact: true }).first().waitFor();
  expect(/\b[0-9a-f]{64}\b/.test(await detail.innerText()), 'with its place in the chain');
  await detail.getByRole('button', { name: 'Close' }).first().click();
  await page.getByRole('button', { name: 'Follow', exact: true }).click();
  await page.getByRole('button', { name: 'Following' }).waitFor();
  await scry('lock', '--login', 'news', '--reason', 'while one looks');
  await rows.filter({ hasText: 'while one looks' }).waitFor();

  await page.goto(`${origin}/settings/locks`);
  await row.getByRole('button', { name: 'Lift' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Lift it' }).click();
  await row.waitFor({ state: 'detached' });
  expect((await locks()).length === 0, 'it is lifted');
}

/** Somebody is invited and removed, a machine invited. */
export async function peopleAndMachines(page) {
  const there = async () => (await scryJson('users', 'ls')).find((one) => one.user === 'newcomer');
  await page.goto(`${origin}/settings/users`);
  await page.getByRole('button', { name: 'Invite somebody' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name', { exact: true }).fill('newcomer');
  await dialog.getByLabel('access', { exact: true }).check({ force: true });
  await dialog.getByRole('button', { name: 'Make the invitation' }).click();
  await dialog.getByText(/\/invitation#/).waitFor();
  await dialog.getByText(/^scry signup scry:/).waitFor();
  const made = await there();
  expect(made && !made.signed_up && made.roles.includes('access'), `they are invited: ${JSON.stringify(made)}`);
  await dialog.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('button', { name: 'What to do with newcomer' }).click();
  await page.getByRole('menuitem', { name: 'Remove' }).click();
  await dialog.getByRole('button', { name: 'Remove', exact: true }).click();
  await page.getByRole('button', { name: 'What to do with newcomer' }).waitFor({ state: 'detached' });
  expect(!(await there()), 'they are removed');

  await page.goto(`${origin}/settings/nodes`);
  await page.getByRole('button', { name: 'Add a node' }).click();
  await dialog.getByLabel(/^Name/).fill('fresh-01');
  await dialog.getByLabel(/^Labels/).fill('nonsense');
  await dialog.getByRole('button', { name: 'Make the invitation' }).click();
  await dialog.getByText('“nonsense” is no label.').waitFor();
  await dialog.getByLabel(/^Labels/).fill(`env=prod evil=${EVIL_WORD}`);
  await dialog.getByRole('button', { name: 'Make the invitation' }).click();
  await dialog.getByText(/^scry start --roles node --node-name fresh-01 --join scry:/).waitFor();
  await told('node.invite', (event) => event.name === 'fresh-01' && event.labels.env === 'prod' && event.labels.evil === EVIL_WORD);
  await dialog.getByRole('button', { name: 'Done' }).click();
}

/** Small pictures, in the page: what stands on the screens is text there, and that they were looked at is in the ledger. */
export async function pictures(page, ...places) {
  for (const place of places) {
    await page.goto(`${origin}/${place}`);
    await page.getByRole('button', { name: 'As pictures' }).click();
    await page.locator('pre[data-foreign]').filter({ hasText: EVIL }).first().waitFor();
  }
  await told('recording.preview', (event) => event.user === user);
}

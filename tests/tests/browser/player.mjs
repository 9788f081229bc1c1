// A recording in the player: from the list, found by what stood there, linked to, by its keys, remarked on, its events; a session that
// goes on, rewound and followed; from the ledger to the moment; and signing out while one looks.
import { readFileSync } from 'node:fs';
import {
  EVIL, allSee, expect, isOver, knock, login, node, nothingRan, openTerminal, origin, play, screen, scry, scryJson, setRole, shows,
  signIn, signOut, signUp, type, until, user,
} from './kit.mjs';

/** Files that are made and removed one after the other: twice as many rows stand among the events. */
const MANY = 10_000;

const hits = (page) => page.locator('svg rect[fill="#e0a020"]');

/** Where the player stands, in whole seconds. */
const second = async (page) => Number(await page.getByRole('slider', { name: 'Time line' }).getAttribute('aria-valuenow'));

/** Waits until the picture has what was found, and not what came later. */
async function showsOnly(page, there, notThere) {
  let seen;
  await until(there, async () => (seen = await screen(page).catch(() => '')).includes(there) && !seen.includes(notThere)).catch((error) => {
    throw new Error(`${error.message}, without ${notThere}:\n${seen}`);
  });
}

/** Whether this machine takes the kernel's program. */
const hasKernel = async () => (await scry('doctor')).includes('can tell what runs');

/** The keys of the player and its menu, each by what it does, from a moment where it stands still; ends where it began. */
async function keys(page, id) {
  const press = async (...all) => {
    for (const key of all) await page.keyboard.press(key);
  };
  const isAt = (what, fits) => until(what, async () => fits(await second(page)));
  const begin = page.url();
  const last = Number(await page.getByRole('slider', { name: 'Time line' }).getAttribute('aria-valuemax'));
  expect(last >= 4, `there is something to go through: ${last}`);

  // Moments: the ends, a part, a time, seconds and steps.
  await press('End');
  await isAt('the end', (at) => at === last);
  await press('h');
  await isAt('five seconds before the end', (at) => at === Math.max(0, last - 5));
  await press('ArrowRight');
  await isAt('the end again', (at) => at === last);
  await press('5');
  await isAt('the middle', (at) => Math.abs(at - last / 2) <= 1);
  await press('G');
  await isAt('the fifth second', (at) => at === Math.min(5, last));
  await press('Home');
  await isAt('the beginning', (at) => at === 0);
  await press('0', ':', '0', '2', 'G');
  await isAt('a time', (at) => at === 2);
  await page.goto(begin);
  await showsOnly(page, 'first-needle', 'second-needle');
  const still = await screen(page);
  await press(',');
  await until('a step back', async () => (await screen(page)) !== still);
  // From there on step by step, each drawn.
  await until('and on', async () => {
    if ((await screen(page)) === still) return true;
    await press('.');
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    return false;
  });

  // How it is played.
  const speed = (times) => page.getByRole('button', { name: `Speed ${times}`, exact: true }).waitFor();
  await press('>');
  await speed(2);
  await press('<', '<');
  await speed(0.5);
  await press('Backspace');
  await speed(1);
  await press('i');
  await page.getByRole('button', { name: 'Pauses played' }).waitFor();
  await press('i');
  await page.getByRole('button', { name: 'Pauses cut' }).waitFor();
  await press('>', '>', '>', ' ');
  await page.getByRole('button', { name: 'Pause', exact: true }).waitFor();
  await shows(page, 'second-needle');
  await press(' ');
  await page.getByRole('button', { name: 'Play', exact: true }).or(page.getByRole('button', { name: 'Again from the beginning' })).first().waitFor();
  await press('Backspace');

  // Marks, one after the other, and back.
  const said = page.locator('p[role=status]');
  const through = async (key, end = 'nothing more there') => {
    const all = [];
    for (let count = 0; count < 60 && !all.at(-1)?.includes(end); count += 1) {
      await press(key);
      all.push(await said.innerText());
    }
    expect(all.at(-1)?.includes(end), `${key} comes to ${end}: ${all}`);
    return all;
  };
  await press('End');
  const back = await through('[');
  expect(back.length > 1, `there is a mark on the way back: ${back}`);
  await press('Home');
  await through(']');
  if (await hasKernel()) {
    await press('Home');
    const programs = await through('c', 'uname');
    await press('C');
    await said.filter({ hasText: programs.at(-2) }).waitFor();
  }

  // What is taken away.
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
  const kept = () => page.evaluate(() => navigator.clipboard.readText());
  await page.goto(begin);
  await showsOnly(page, 'first-needle', 'second-needle');
  await press('y');
  await until('a link to the moment', async () => (await kept()) === begin);
  const more = async (name) => {
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name }).click();
  };
  await more('Copy the screen as text');
  const bare = (text) => text.replaceAll(/ +$/gm, '').trimEnd();
  await until('the screen as text', async () => bare(await kept()) === bare(await screen(page)));
  for (const [name, fits] of [
    ['Download as asciicast', (text) => JSON.parse(text.split('\n')[0]).version === 3 && text.includes('first-needle')],
    ['Download as text', (text) => text.includes('first-needle') && text.includes('second-needle')],
  ]) {
    const [download] = await Promise.all([page.waitForEvent('download'), more(name)]);
    const text = readFileSync(await download.path(), 'utf8');
    expect(fits(text), `${name}, as ${download.suggestedFilename()}: ${text.slice(0, 200)}`);
  }

  // What is beside it and around it.
  const tab = (name, is) => page.locator(`[role=tab][aria-selected=${is}]`).filter({ hasText: name }).waitFor();
  await press('m');
  await tab('Events', true);
  await press('x');
  await tab('Text', true);
  const time = page.getByTitle('Gone, left, on the wall');
  await press('t');
  await time.filter({ hasText: /^-/ }).waitFor();
  await press('t');
  await time.filter({ hasText: /^\d\d:\d\d:\d\d/ }).waitFor();
  await press('t', 'F');
  await until('the whole screen', () => page.evaluate(() => document.fullscreenElement !== null));
  await press('F');
  await until('the window again', () => page.evaluate(() => document.fullscreenElement === null));
  await press('?');
  const list = page.getByRole('dialog', { name: 'Keys' });
  await list.getByText('Cut pauses, or not').waitFor();
  await press('Escape');
  await list.waitFor({ state: 'detached' });
  // And to all of them by one key, and back by the field that finds everything.
  await press('q');
  await page.waitForURL('**/recordings');
  await press('Control+K');
  await page.getByRole('combobox', { name: 'Find a node, a session, a page' }).fill(id.slice(0, 8));
  await page.getByRole('option', { name: /^Recordings that begin with/ }).waitFor();
  await press('Enter');
  await page.waitForURL(`**/recordings?q=${id.slice(0, 8)}`);
  await page.locator(`a[href="/recordings/${id}"]`).first().waitFor();
  await page.goto(begin);
  await shows(page, 'first-needle');
}

/** What the kernel told of a recording, counted from its events one by one. */
async function countedByHand(id) {
  const said = (await scry('recordings', 'events', id, '--json')).trim().split('\n').map((line) => JSON.parse(line));
  const did = said.filter(({ aftermath }) => !aftermath).map(({ entry }) => entry.kernel?.did).filter(Boolean);
  const files = new Set();
  for (const { action } of did) {
    const { file, other, error } = action.opened ?? action.changed ?? action.uring ?? {};
    if (!error) for (const one of [file, other].filter(Boolean)) files.add(one.path.startsWith('/') ? one.path : `${one.folder}/${one.path}`);
  }
  return { commands: did.filter(({ action }) => action.ran).length, files: files.size };
}

await play(async ({ page, another }) => {
  await setRole('auditor', `[allow.recordings]\nlist = 'all'\nplay = 'all'`);
  await signIn(page);
  await openTerminal(page);
  await type(page, `d=$(mktemp -d); for n in {1..${MANY}}; do : > $d/$n; done; rm -r $d; echo many-$((40+2))\n`);
  await shows(page, 'many-42');
  await type(page, `printf '\\e]2;${EVIL}\\a'; echo first-nee''dle '${EVIL}'\n`);
  await shows(page, 'first-needle');
  await type(page, `/usr/bin/uname --machine; sleep 2.5; echo second-nee''dle\n`);
  await shows(page, 'second-needle');
  const [{ id }] = await scryJson('sessions');
  await type(page, 'exit\n');
  await isOver(page);
  const evil = scry('ssh', node, `true '${EVIL}'`);

  // From the list, by what was recorded.
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('link', { name: 'Recordings' }).first().click();
  await evil;
  await page.reload();
  await page.getByText(EVIL).first().waitFor();
  // What ran there and what was touched is counted, or it is said that nobody knows.
  if (await hasKernel()) {
    const all = await scryJson('recordings', 'ls');
    const [long, short] = [all.find((one) => one.id === id), all.find((one) => one.kind === 'exec')];
    const [ofLong, ofShort] = [await countedByHand(long.id), await countedByHand(short.id)];
    expect(ofShort.commands > 0 && ofShort.files > 0, `there is something to count: ${JSON.stringify(ofShort)}`);
    expect(JSON.stringify(short.tally) === JSON.stringify(ofShort), `of few: ${JSON.stringify([short.tally, ofShort])}`);
    expect(long.tally.commands === ofLong.commands && ofLong.commands > 3, `of many: ${JSON.stringify([long.tally, ofLong.commands])}`);
    expect(long.tally.files === MANY && long.tally.more_files && ofLong.files > MANY, `of many files: ${JSON.stringify([long.tally, ofLong.files])}`);
    const words = `${ofLong.commands} programs · 10,000+ files`;
    await page.getByRole('row').filter({ has: page.locator(`a[href="/recordings/${id}"]`) }).getByText(words).waitFor();
  } else console.log('skipped: counts of programs and files: this machine takes no kernel program');
  await page.locator(`a[href="/recordings/${id}"]`).first().click();
  await page.waitForURL(`**/recordings/${id}*`);
  await page.getByRole('heading', { name: `${user} as ${login}@${node}` }).waitFor();

  // What stood on the screen is found, stands on the time line, and is gone to.
  await page.getByRole('button', { name: /^(Play|Pause)$/ }).and(page.locator(':enabled')).waitFor();
  await page.keyboard.press('/');
  await page.getByLabel('Find what stood on the screen').fill('needle');
  await until('both places', async () => (await hits(page).count()) === 2);
  await page.getByRole('button').filter({ has: page.locator('mark') }).first().click();
  await showsOnly(page, 'first-needle', 'second-needle');
  const first = await second(page);
  // On a slow machine it has played to its end meanwhile, and the address still says that.
  await page.waitForURL((url) => Math.abs(Number(url.searchParams.get('t') ?? NaN) - first) <= 1);
  const address = page.url();
  await page.keyboard.press('n');
  await shows(page, 'second-needle');
  await page.keyboard.press('N');
  await showsOnly(page, 'first-needle', 'second-needle');
  await page.keyboard.press('End');
  await shows(page, 'exit');
  const { x, y } = await hits(page).first().boundingBox();
  await page.mouse.click(x + 1, y + 4);
  await until('the place that was clicked', async () => Math.abs((await second(page)) - first) <= 1);

  // Somebody else opens the address: signs in, and sees the same moment.
  const alice = await another();
  await signUp(alice, 'alice', 'auditor');
  await signOut(alice);
  await alice.goto(address);
  await alice.waitForURL('**/sign-in');
  await knock(alice, 'alice');
  await alice.waitForURL(address);
  await showsOnly(alice, 'first-needle', 'second-needle');
  await page.goto(address);
  await shows(page, 'first-needle');
  await allSee([page, alice]);
  await keys(page, id);

  // A remark on the moment is words, and there for both.
  await page.keyboard.press('r');
  await page.getByLabel('Comment on this moment').fill(`look ${EVIL}`);
  await page.getByRole('button', { name: 'Comment', exact: true }).click();
  await page.getByRole('listitem').getByText(`look ${EVIL}`).waitFor();
  await alice.reload();
  await alice.getByRole('tab', { name: 'Comments' }).click();
  await alice.getByRole('listitem').getByText(`look ${EVIL}`).waitFor();
  // What was written is read beside the picture, too.
  await alice.getByRole('tab', { name: 'Text' }).click();
  await alice.getByRole('tabpanel').getByText('second-needle').first().waitFor();
  await nothingRan([page, alice]);

  // What the kernel saw leads to its moment.
  await page.getByRole('tab', { name: 'Events' }).click();
  if (await hasKernel()) {
    // Of thousands of rows a few are drawn, and any is found.
    const [tree, row] = [page.getByRole('tree'), (text) => page.getByRole('treeitem', { name: text })];
    await page.keyboard.press('Home');
    const chip = page.getByRole('button', { name: /^Files [0-9,]+$/ });
    await until('all of the files', async () => Number((await chip.innerText().catch(() => '')).replace(/\D/g, '')) >= 2 * MANY);
    expect((await row(/./).count()) < 150, 'only what is seen is drawn');
    await page.getByLabel('Filter events').fill('uname --machine');
    await row('uname --machine').first().click();
    await until('the moment of the event', async () => Math.abs((await second(page)) - first) <= 2 && (await screen(page)).includes('first-needle'));
    expect(!(await screen(page)).includes('second-needle'), 'it is the moment before what came later');
    // Among all of them the row of now is seen, wherever the picture goes.
    await page.getByLabel('Filter events').fill('');
    await page.getByLabel('Filter events').blur();
    const seen = async () => {
      const [now, all] = await Promise.all([tree.locator('[aria-selected=true]').boundingBox(), tree.boundingBox()]);
      return now && all && now.y >= all.y && now.y + now.height <= all.y + all.height + 1 && tree.locator('[aria-selected=true]').innerText();
    };
    const number = async () => Number(await tree.locator('[aria-selected=true]').getAttribute('data-row'));
    await until('the row of now, behind all of the files', async () => (await seen().catch(() => '')) && (await number()) > 2 * MANY);
    await page.keyboard.press('Home');
    await until('the rows of the beginning', async () => (await tree.locator('[data-row="0"]').count()) > 0);
    // By keys alone: to the last row, and to its moment.
    await tree.focus();
    for (const key of ['End', 'Enter']) await page.keyboard.press(key);
    await until('the moment of the last row', async () => (await screen(page)).includes('second-needle'));
    await tree.blur();
  } else console.log('skipped: events of the kernel in the player: this machine takes no kernel program');

  // A session that goes on is followed, rewound, and followed again.
  // A page behind another one is drawn once a second.
  const owner = await another();
  await signIn(owner);
  await openTerminal(owner);
  await type(owner, 'echo early-$((40+1))\n');
  await page.getByRole('link', { name: 'Sessions' }).first().click();
  await page.getByRole('button', { name: new RegExp(`the session of ${user} on ${node}`) }).click();
  await page.getByRole('menuitem', { name: 'Open in the player' }).click();
  await page.getByRole('button', { name: 'Following' }).waitFor();
  await shows(page, 'early-41');
  const live = page.url();
  await type(owner, 'echo now-$((40+2))\n');
  await shows(page, 'now-42');
  await page.keyboard.press('Home');
  await until('the beginning', async () => !(await screen(page)).includes('early-41'));
  await type(owner, 'echo later-$((40+3))\n');
  await shows(owner, 'later-43');
  expect(!(await screen(page)).includes('later-43'), 'what was rewound stays where it is');
  await page.getByRole('button', { name: 'Follow', exact: true }).click();
  await shows(page, 'later-43');
  await allSee([page, owner]);

  // From the ledger to the moment.
  await page.getByRole('link', { name: 'Audit' }).first().click();
  await page.getByText(`Ran true '${EVIL}'`).first().waitFor();
  await nothingRan([page]);
  await page.goto(`${origin}/audit?session=${id}`);
  const row = page.getByRole('row').filter({ hasText: 'Session ended' });
  await row.getByRole('button', { name: 'Open the player at this moment' }).click();
  await page.waitForURL(`**/recordings/${id}*`);
  await page.getByRole('slider', { name: 'Time line' }).waitFor();
  const ended = (await scryJson('audit', 'ls', '--event', 'session.end')).find((event) => event.session === id);
  const { started } = (await scryJson('recordings', 'ls')).find((one) => one.id === id);
  const from = Math.max(0, (ended.time - started) / 1000 - 5);
  expect(Math.abs((await second(page)) - from) <= 1, `five seconds before it: ${page.url()}, ${from}`);

  // Signing out ends looking, in every window of that browser.
  await page.goto(live);
  await page.getByRole('button', { name: 'Following' }).waitFor();
  const third = await page.context().newPage();
  await third.goto(`${origin}/me`);
  await third.getByRole('listitem').filter({ hasText: 'this one' }).getByRole('button', { name: 'Sign out' }).click();
  await third.waitForURL('**/sign-in');
  await page.waitForURL('**/sign-in');
  await nothingRan([page, alice, owner]);
});

// The cursed terminal: what somebody did is found later by somebody else, by an error that stood there, among the recordings of
// all; it is watched from five seconds before; what ran, which file was touched and where it connected to is seen beside it, and
// the very second is sent on as a link.
import {
  allSee, audit, expect, isOver, openTerminal, origin, play, screen, scry, scryJson, setRole, shows, signIn, signUp, type, until, user,
} from './kit.mjs';

const ERROR = 'such-curse: No such file';
const { port } = new URL(origin);

await play(async ({ page: owner, another }) => {
  await setRole('auditor', `[allow.recordings]\nlist = 'all'\nplay = 'all'`);
  await setRole('outsider', `[allow.recordings]\nlist = 'own'\nplay = 'own'`);
  const [later, third, outsider] = [await another(), await another(), await another()];
  await signIn(owner);
  await openTerminal(owner);
  const [{ id }] = await scryJson('sessions');
  // What is typed does not hold what is looked for; there is a time before it, and a quiet one behind.
  const steps = [
    'touch ~/cur""sed-file; sleep 6; echo before-$((1+1)); sleep 1; cat /no/such-cur""se; rm ~/cur""sed-file',
    `sleep 2; exec 3<>/dev/tcp/127.0.0.1/${port}; exec 3>&-; sleep 1; echo after-all-$((1+1))`,
  ];
  await type(owner, `${steps.join('; ')}\n`);
  await shows(owner, ERROR, 25_000);
  await shows(owner, 'after-all-2');
  await type(owner, 'exit\n');
  await isOver(owner);
  await owner.close();
  await until('the recording to be stored', async () => (await scryJson('recordings', 'ls')).some((row) => row.id === id && row.phase === 'stored'));

  await Promise.all([signUp(later, 'later', 'auditor'), signUp(third, 'third', 'auditor'), signUp(outsider, 'outsider', 'outsider')]);
  // From anywhere, by the word alone.
  await later.keyboard.press('Control+k');
  await later.keyboard.type(ERROR);
  await later.getByRole('option', { name: `Search all recordings for “${ERROR}”` }).waitFor();
  await later.keyboard.press('Enter');
  await later.waitForURL('**/search?*');
  const found = later.getByRole('group', { name: 'What was found' });
  await found.getByRole('heading', { name: new RegExp(`^${user} as `) }).waitFor();
  const hit = found.locator('[data-hit]').filter({ hasText: ERROR }).first();
  await hit.waitFor();
  await later.getByRole('status').filter({ hasText: /1 moment in 1 recording · \d+ recordings? searched/ }).waitFor();
  await later.getByLabel('Search all recordings', { exact: true }).focus();
  await later.keyboard.press('ArrowDown');
  expect(await hit.evaluate((one) => one === document.activeElement), 'the arrow goes to the first moment');
  await later.keyboard.press('Enter');
  await later.waitForURL(`**/recordings/${id}?*`);
  await later.getByRole('button', { name: 'Play', exact: true }).and(later.locator(':enabled')).waitFor();

  // Five seconds before there is nothing of it yet; it comes by watching.
  const early = await shows(later, 'scry:');
  expect(!early.includes(ERROR) && !early.includes('before-2'), `it has not happened yet:\n${early}`);
  const begun = Number(new URL(later.url()).searchParams.get('t'));
  expect(begun > 0, `the address says from when on: ${later.url()}`);
  await until('the place on the time line', async () => (await later.locator('[data-found]').count()) > 0);
  await later.keyboard.press(' ');
  await shows(later, 'before-2');
  await shows(later, ERROR);
  await later.keyboard.press(' ');
  await later.getByRole('button', { name: 'Play', exact: true }).waitFor();
  const then = await screen(later);
  expect(then.includes(ERROR) && !then.includes('after-all-2'), `it is that moment, not the end:\n${then}`);

  // Beside the picture stands what ran, which files were touched, where it connected to; where the kernel says so.
  await later.getByRole('tab', { name: 'Events' }).click();
  const watched = (await scry('doctor')).includes('can tell what runs');
  if (watched) {
    const filter = later.getByLabel('Filter events');
    for (const [text, name] of [
      ['cat /no/such-curse', /^cat \/no\/such-curse/],
      ['cursed-file', /^unlinkat \S*cursed-file/],
      [`127.0.0.1:${port}`, new RegExp(`^connected to 127\\.0\\.0\\.1:${port} `)],
    ]) {
      await filter.fill(text);
      await later.getByRole('treeitem', { name }).first().waitFor();
    }
  } else console.log('skipped: what ran, beside the picture: this machine takes no kernel program');

  // The colleague gets that very second, and sees the same.
  await later.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
  await later.locator('.xterm').first().click();
  await later.keyboard.press('y');
  const kept = () => later.evaluate(() => navigator.clipboard.readText());
  const address = await until('a link to this second', async () => {
    const text = await kept();
    return text.startsWith(`${origin}/recordings/${id}?t=`) && text;
  });
  expect(Number(new URL(address).searchParams.get('t')) > begun, `it is of now: ${address}`);
  await third.goto(address);
  await shows(third, ERROR);
  await allSee([later, third]);

  // What ran, files and addresses are found by themselves, too, and open with what is beside the picture.
  if (watched) {
    for (const [what, text] of [['Commands', 'cat /no/such-curse'], ['Files', 'cursed-file'], ['Connections', `127.0.0.1:${port}`]]) {
      await third.goto(`${origin}/search?q=${encodeURIComponent(text)}&what=${what.toLowerCase()}&user=${user}`);
      const moment = third.locator('[data-hit]').filter({ hasText: text }).first();
      await moment.click();
      await third.locator('[role=tab][aria-selected=true]').filter({ hasText: 'Events' }).waitFor();
      await third.getByRole('treeitem').first().waitFor();
    }
  }

  // Whoever may not play it finds nothing of it, and is told nothing.
  const asked = [];
  outsider.on('request', (request) => request.url().includes('/v1/search') && asked.push(request.url()));
  await outsider.goto(`${origin}/search`);
  await outsider.getByLabel('Search all recordings', { exact: true }).fill(ERROR);
  await outsider.keyboard.press('Enter');
  await outsider.getByRole('heading', { name: 'Nothing was found' }).waitFor();
  // Asked again, since the page may have dropped an answer that it did not need any more.
  const answers = await outsider.evaluate((asked) => Promise.all(asked.map(async (url) => (await fetch(url)).text())), asked);
  expect(answers.length && answers.every((text) => !text.includes(id) && !text.includes(user) && text.includes('"of":0')), `nothing of it: ${answers}`);

  // All of it stands in the ledger: who searched for what, whom it showed what, and who looked then.
  await until('the looks in the ledger', async () => {
    const looks = (await audit('recording.view')).filter((event) => event.session === id).map((event) => `${event.user} ${event.how}`);
    return ['later search', 'later play', 'third play'].every((look) => looks.includes(look));
  });
  const searches = (await audit('recording.search')).map(({ user, text, others }) => `${user}: ${text}: ${others > 0}`);
  expect(searches.includes(`later: ${ERROR}: true`), `later’s search: ${searches}`);
  expect(searches.includes(`outsider: ${ERROR}: false`), `the outsider’s search: ${searches}`);
  const theirs = (await audit('recording.view')).filter((event) => event.user === 'outsider');
  expect(theirs.length === 0, `the outsider was shown nothing: ${JSON.stringify(theirs)}`);
});

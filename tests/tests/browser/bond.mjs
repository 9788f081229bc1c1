// The telepathic bond: a link opened in a browser, and two people see and type in one terminal while a third looks on; the keyboard
// goes to and fro. All see the same, with its colours and the cursor.
import {
  above, allSee, expect, hears, isOver, look, openTerminal, origin, panel, play, present, say, screen, scryJson, share, shows, signIn,
  signUp, told, type, until, user, withPerson,
} from './kit.mjs';

/** A picture that only the whole screen shows: on the other screen, with colours, another cursor, and nothing at its end. */
const PICTURE = [
  String.raw`\e[?1049h\e[5;12H\e[1;33;44mof the sixteen\e[m \e[38;2;250;250;9;48;2;1;60;3mof all\e[m`,
  String.raw`\e[4mlined\e[m 漢字\e[3;7Hwh''ere are we\e[4 q`,
].join(' ');

/** A cursor has its shape only where the keyboard is. */
const looks = async (page) => (await look(page)).replaceAll(/ xterm-cursor-\w+/g, '');

await play(async ({ page: owner, another }) => {
  const friend = await another({ viewport: { width: 800, height: 480 } });
  const third = await another();
  await Promise.all([signIn(owner), signUp(friend, 'friend', 'access'), signUp(third, 'third', 'access')]);
  const all = [owner, friend, third];
  const allShow = (text) => Promise.all(all.map((page) => shows(page, text)));
  await openTerminal(owner);
  await type(owner, `printf '${PICTURE}'; read -rs; printf '\\e[?1049l'; clear; echo ba''ck\n`);
  await shows(owner, 'where are we');
  for (const [page, seat] of [[friend, 'peer'], [third, 'observer']]) {
    await page.goto(await share(owner, seat));
    await page.getByRole('button', { name: 'Join', exact: true }).click();
  }
  // Not the last bytes, but the whole screen, and all of it in a smaller window.
  await allShow('where are we');
  const seen = await looks(owner);
  const marks = ['xterm-bold', 'xterm-bg-4', 'rgb(1, 60, 3)', 'xterm-underline', '漢字', 'xterm-cursor'];
  expect(marks.every((mark) => seen.includes(mark)), `there is something to see: ${seen}`);
  await allSee(all, looks);
  await owner.setViewportSize({ width: 1100, height: 600 });
  await allSee(all, looks);
  await type(owner, '\n');
  await allShow('back');

  // The friend's size counts: the program has it, the friend sees all of it at their own letters' size, and so does everybody.
  let asked = 0;
  const sizeOf = async () => {
    asked += 1;
    await type(owner, `clear; echo si''ze-${asked}-$(stty size | tr ' ' x)-\n`);
    return new RegExp(`size-${asked}-(\\d+x\\d+)-`).exec(await shows(owner, `size-${asked}-`))[1];
  };
  const own = await sizeOf();
  await withPerson(owner, 'friend', 'Use their size');
  await Promise.all(all.map((page) => hears(page, 'the terminal has the size of friend')));
  const theirs = await sizeOf();
  expect(theirs !== own, `the program has the friend's size: ${theirs}, not ${own}`);
  await allSee(all, above);
  await friend.setViewportSize({ width: 900, height: 560 });
  await until('it follows the friend', async () => ![own, theirs].includes(await sizeOf()));
  await allSee(all, above);
  await (await panel(owner)).getByRole('button', { name: 'Use my size' }).click();
  await until('it is the owner’s again', async () => (await sizeOf()) === own);
  await allSee(all, above);
  // A program says so in vain.
  await type(owner, "printf '\\e[8;7;33t'\n");
  expect((await sizeOf()) === own, 'no program makes the page’s terminal another size');
  await allSee(all, above);

  await type(friend, 'echo typed-by-the-friend-$((40+2))\n');
  await allShow('typed-by-the-friend-42');
  await (await present(owner, 'friend')).first().waitFor();
  await third.getByText('you look on').waitFor();
  await say(friend, 'shall I?');
  await Promise.all(all.map((page) => hears(page, 'shall I?')));

  // Everyone sees who types, and nobody else does.
  const types = async (page, name) => (await (await present(page, name)).filter({ hasText: 'may type' }).count()) > 0;
  const onlyTypes = async (who) => {
    for (const page of all) {
      for (const [name, is] of [['friend', who === friend], ['third', false]]) {
        await until(`${name} ${is ? 'types' : 'does not type'}`, async () => (await types(page, name)) === is);
      }
    }
    for (const page of all.filter((page) => page !== who)) await type(page, 'echo in-vain\n');
  };
  await withPerson(owner, 'friend', 'Hand over the keyboard');
  await friend.getByText('Only you type.').waitFor();
  await onlyTypes(friend);
  await type(friend, 'cat /no/such-cur""se\n');
  await allShow('such-curse: No such file');
  await (await panel(owner)).getByRole('button', { name: 'Take back' }).click();
  await friend.getByText('you look on').waitFor();
  await onlyTypes(owner);
  await type(owner, 'echo mine-$((40+3))\n');
  await allShow('mine-43');
  await allSee(all, above);
  expect(!(await screen(owner)).includes('in-vain'), 'what was typed in vain reached nothing');
  await told('seat.input_refused', (event) => event.user === 'friend');
  await withPerson(owner, 'friend', 'Show out');
  await isOver(friend);

  // Afterwards the list says who was there, and the player who typed what.
  const [{ id }] = await scryJson('sessions');
  await type(owner, 'exit\n');
  await isOver(owner);
  const { tally } = await until('the recording', async () => (await scryJson('recordings', 'ls')).find((one) => one.id === id && one.phase === 'stored'));
  expect(JSON.stringify(tally.people) === '["friend","third"]', `who was there: ${JSON.stringify(tally)}`);
  await owner.goto(`${origin}/recordings`);
  await owner.getByRole('row').getByText('with friend and third').waitFor();
  const typist = owner.locator('[data-types]');
  for (const [text, who] of [['such-curse: No such file', 'friend'], ['mine-43', user]]) {
    await owner.goto(`${origin}/recordings/${id}?t=0`);
    await owner.getByRole('button', { name: /^(Play|Pause)$/ }).and(owner.locator(':enabled')).waitFor();
    await owner.keyboard.press('/');
    const field = owner.getByLabel('Find what stood on the screen');
    await field.fill(text);
    await owner.locator('mark').first().waitFor();
    await field.press('Enter');
    await shows(owner, text);
    // What was typed is recorded in a bunch, which may come a moment behind the picture.
    await owner.getByRole('button', { name: 'Play', exact: true }).click();
    await typist.filter({ hasText: new RegExp(`^\\s*${who} types\\s*$`) }).waitFor();
  }
  const lane = await owner.locator('svg [data-typed]').evaluateAll((all) => [...new Set(all.map((one) => one.dataset.typed))].sort());
  expect(JSON.stringify(lane) === JSON.stringify(['friend', user].sort()), `who typed, on the time line: ${lane}`);
});

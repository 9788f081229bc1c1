// The telepathic bond: a link opened in a browser, and two people see and type in one terminal; the keyboard goes to and fro.
import {
  allSee, hears, isOver, openTerminal, panel, play, say, share, shows, signIn, signUp, type, withPerson,
} from './kit.mjs';

await play(async ({ page: owner, another }) => {
  const friend = await another({ viewport: { width: 800, height: 480 } });
  await Promise.all([signIn(owner), signUp(friend, 'friend', 'access')]);
  await openTerminal(owner);
  await type(owner, `printf '\\e[?1049h\\e[3;7Hwh''ere are we'; read -rs; printf '\\e[?1049l'; clear; echo ba''ck\n`);
  await shows(owner, 'where are we');
  await friend.goto(await share(owner, 'peer'));
  await friend.getByRole('button', { name: 'Join', exact: true }).click();
  // Not the last bytes, but the whole screen, and all of it in a smaller window.
  await shows(friend, 'where are we');
  await allSee(owner, friend);
  await owner.setViewportSize({ width: 1100, height: 600 });
  await allSee(owner, friend);
  await type(owner, '\n');
  await Promise.all([owner, friend].map((page) => shows(page, 'back')));
  await type(friend, 'echo typed-by-the-friend-$((40+2))\n');
  await Promise.all([owner, friend].map((page) => shows(page, 'typed-by-the-friend-42')));
  await (await panel(owner)).getByRole('listitem').filter({ hasText: 'friend' }).first().waitFor();
  await say(friend, 'shall I?');
  await hears(owner, 'shall I?');
  await withPerson(owner, 'friend', 'Hand over the keyboard');
  await friend.getByText('Only you type.').waitFor();
  await type(friend, 'cat /no/such-cur""se\n');
  await Promise.all([owner, friend].map((page) => shows(page, 'such-curse: No such file')));
  await (await panel(owner)).getByRole('button', { name: 'Take back' }).click();
  await withPerson(owner, 'friend', 'Show out');
  await isOver(friend);
});

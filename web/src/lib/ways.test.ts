import { expect, test } from 'vitest';
import { guestSsh, memberSsh } from './ways';

const place = {
  code: 'share-0123456789abcdefghjkmnpqrs',
  node: 'web-01',
  cluster: 'lab',
  hostAuthority: ['ssh-ed25519 AAAA\n'],
  host: 'scry.example.com',
  port: '4422',
};

// The same words as in crates/scry/src/client/share.rs.
test('a link is given as the commands of ssh that scry share gives', () => {
  const { code } = place;
  expect(memberSsh(place)).toBe(`ssh -t +${code}@web-01.lab`);
  expect(guestSsh(place)).toBe(
    "echo '@cert-authority *.lab ssh-ed25519 AAAA' > scry-lab.known_hosts && " +
      "ssh -t -o UserKnownHostsFile=scry-lab.known_hosts -o ProxyCommand='ssh -o " +
      'UserKnownHostsFile=scry-lab.known_hosts -o HostKeyAlias=proxy.lab -p 4422 -W %h:%p ' +
      `${code}@scry.example.com' ${code}@web-01.lab`,
  );
});

test('while keys change there are two, and an address of version 6 has no brackets for ssh', () => {
  const line = guestSsh({ ...place, hostAuthority: ['ssh-ed25519 AAAA', 'ssh-ed25519 BBBB'], host: '[::1]' });
  expect(line).toContain("'@cert-authority *.lab ssh-ed25519 AAAA\n@cert-authority *.lab ssh-ed25519 BBBB' > ");
  expect(line).toContain(`-W %h:%p ${place.code}@::1'`);
});

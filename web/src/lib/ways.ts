// What people type who come by a link without this page: the words of `scry share`.

/** What a link's lines are made of. */
export interface Place {
  code: string;
  node: string;
  /** Of the cluster. */
  cluster: string;
  /** Public keys that speak for its nodes. */
  hostAuthority: string[];
  /** Of the proxy. */
  host: string;
  port: string;
}

/** With plain ssh, for who has what `scry config` prints. */
export const memberSsh = ({ code, node, cluster }: Place): string => `ssh -t +${code}@${node}.${cluster}`;

/** With plain ssh and nothing else: what known_hosts has to say, and the command. Only a link for guests lets in by it. */
export function guestSsh({ code, node, cluster, hostAuthority, host, port }: Place): string {
  const known = `scry-${cluster}.known_hosts`;
  const lines = hostAuthority.map((key) => `@cert-authority *.${cluster} ${key.trim()}`).join('\n');
  const proxy = host.replace(/^\[|\]$/g, '');
  const jump = `ssh -o UserKnownHostsFile=${known} -o HostKeyAlias=proxy.${cluster} -p ${port} -W %h:%p ${code}@${proxy}`;
  return `echo '${lines}' > ${known} && ssh -t -o UserKnownHostsFile=${known} -o ProxyCommand='${jump}' ${code}@${node}.${cluster}`;
}

"""Talks to a node through paramiko: exec, exit status, pty, sftp."""
import io, json, sys, paramiko

config, host, login, key, cert, known = sys.argv[1:7]
entry = paramiko.SSHConfig.from_path(config).lookup(host)
pkey = paramiko.Ed25519Key.from_private_key_file(key)
pkey.load_certificate(cert)

class Authority(paramiko.MissingHostKeyPolicy):
    """paramiko 2.12 knows no host certificates; it is given the plain host key and told to take it."""
    def missing_host_key(self, client, hostname, host_key):
        pass

client = paramiko.SSHClient()
client.set_missing_host_key_policy(Authority())
client.connect(host, username=login, pkey=pkey, sock=paramiko.ProxyCommand(entry["proxycommand"]),
               allow_agent=False, look_for_keys=False, timeout=20, banner_timeout=20, auth_timeout=20)
stdin, stdout, stderr = client.exec_command("cat; echo err >&2; exit 7")
stdin.write("paramiko says hello"); stdin.flush(); stdin.channel.shutdown_write()
out = stdout.read().decode()
result = {"out": out, "err": stderr.read().decode(), "status": stdout.channel.recv_exit_status()}
channel = client.get_transport().open_session()
channel.get_pty("xterm", 100, 40)
channel.exec_command("stty size")
result["size"] = channel.makefile().read().decode().strip()
sftp = client.open_sftp()
path = sys.argv[7]
sftp.putfo(io.BytesIO(b"x" * 200000), path)
# Read ahead, paramiko 2.12 asks for some parts twice when an answer comes before its next request is noted.
back = io.BytesIO(); sftp.getfo(path, back, prefetch=False)
result["sftp"] = back.getvalue() == b"x" * 200000
client.close()
print(json.dumps(result))

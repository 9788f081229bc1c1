"""Talks to a node through asyncssh: host certificate checked, exec, exit status, sftp."""
import asyncio, json, sys, asyncssh

config, host, login, key, cert, known, path = sys.argv[1:8]

async def main():
    import shlex
    proxy = None
    for line in open(config):
        if line.strip().startswith("ProxyCommand") and "connect" in line:
            proxy = shlex.split(line.strip()[len("ProxyCommand"):])
    proxy = [host if word == "%h" else word for word in proxy]
    async with asyncssh.connect(host, username=login, client_keys=[(key, cert)], known_hosts=known,
                                proxy_command=proxy, config=None, agent_path=None) as client:
        done = await client.run("cat; echo err >&2; exit 7", input="asyncssh says hello")
        result = {"out": done.stdout, "err": done.stderr, "status": done.exit_status}
        sized = await client.run("stty size", term_type="xterm", term_size=(100, 40))
        result["size"] = sized.stdout.strip()
        async with client.start_sftp_client() as sftp:
            async with sftp.open(path, "wb") as file:
                await file.write(b"x" * 200000)
            async with sftp.open(path, "rb") as file:
                result["sftp"] = await file.read() == b"x" * 200000
        print(json.dumps(result))

asyncio.run(main())

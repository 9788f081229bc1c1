"""Runs a command on a terminal whose size changes all the while, to the least and the most that there is, and keeps every byte
that comes. Its task is JSON on stdin: with the path of `ssh` settings it is OpenSSH, whose sizes are those of a real terminal
(16 bits), else paramiko, which sends any number there is (RFC 4254 has 32 bits)."""
import fcntl, json, os, signal, struct, subprocess, sys, termios, time

task = json.load(sys.stdin)
PAUSE = 0.02  # seconds between two sizes of OpenSSH
PIECE = 128 * 1024  # bytes between two of paramiko


def cycle(most):
    sizes = [(1, 1), (most, most), (0, 0), (1, most), (most, 1)]
    while True:
        yield from sizes


def openssh():
    master, terminal = os.openpty()
    set_size = lambda size: fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    set_size((80, 24))
    with open(task["shown"], "wb") as shown:
        ssh = subprocess.Popen(["ssh", "-F", task["settings"], "-tt", task["host"], task["command"]], stdin=terminal, stdout=shown)
        count = 0
        for size in cycle(2**16 - 1):
            if ssh.poll() is not None:
                return ssh.returncode, count
            set_size(size)
            ssh.send_signal(signal.SIGWINCH)
            count += 1
            time.sleep(PAUSE)


def any_number():
    import paramiko
    entry = paramiko.SSHConfig.from_path(task["config"]).lookup(task["host"])
    key = paramiko.Ed25519Key.from_private_key_file(task["key"])
    key.load_certificate(task["certificate"])

    class Any(paramiko.MissingHostKeyPolicy):
        """paramiko 2.12 knows no host certificates."""
        def missing_host_key(self, client, hostname, host_key):
            pass

    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(Any())
    client.connect(task["host"], username=task["login"], pkey=key, sock=paramiko.ProxyCommand(entry["proxycommand"]),
                   allow_agent=False, look_for_keys=False, timeout=20, banner_timeout=20, auth_timeout=20)
    channel = client.get_transport().open_session(timeout=20)
    channel.get_pty("xterm", 80, 24)
    channel.exec_command(task["command"])
    count, came, sizes = 0, 0, cycle(2**32 - 1)
    with open(task["shown"], "wb") as shown:
        while piece := channel.recv(1 << 20):
            shown.write(piece)
            came += len(piece)
            if came >= count * PIECE and not channel.eof_received:
                try:
                    channel.resize_pty(*next(sizes))
                    count += 1
                except (paramiko.SSHException, OSError):
                    pass  # It was closed at this moment; what came before is still to be read.
    status = channel.recv_exit_status()
    client.close()
    return status, count


status, count = openssh() if "settings" in task else any_number()
print(json.dumps({"status": status, "sizes": count}))

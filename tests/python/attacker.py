"""Speaks SSH to a node as an attacker would: certificates made by hand, packets out of order. Its task is JSON on stdin."""
import base64, hashlib, json, socket, sys, time
import paramiko
from paramiko.message import Message

task = json.load(sys.stdin)
CERT = "ssh-ed25519-cert-v01@openssh.com"
ACCEPT, REQUEST, FAILURE, SUCCESS, BANNER, PK_OK = 6, 50, 51, 52, 53, 60
OPEN, CONFIRM, REFUSE, DATA, EOF, CLOSE, CHANNEL = 90, 91, 92, 94, 96, 97, 98


def message(*parts):
    m = Message()
    for part in parts:
        if isinstance(part, bool):
            m.add_boolean(part)
        elif isinstance(part, int):
            m.add_int(part)
        else:
            m.add_string(part)
    return m


def options(pairs):
    m = Message()
    for name, value in sorted(pairs):
        m.add_string(name)
        m.add_string(message(value).asbytes() if value else b"")
    return m.asbytes()


def certify(public, spec):
    """A certificate as the task describes it, signed by its authority, good or not."""
    authority = paramiko.Ed25519Key.from_private_key_file(spec["authority"])
    now = int(time.time())
    m = message(CERT, b"n" * 32, public)
    m.add_int64(spec.get("serial", 7))
    m.add_int(spec.get("kind", 1))
    m.add_string(spec["key_id"])
    m.add_string(message(*spec["principals"]).asbytes())
    m.add_int64(now + spec.get("from", -60))
    m.add_int64(now + spec.get("until", 3600))
    m.add_string(options(spec.get("options", [])))
    m.add_string(options(spec.get("extensions", [])))
    m.add_string(b"")
    signer, signer_blob = authority, authority.asbytes()
    if "signer_certificate" in spec:
        signer_blob = base64.b64decode(spec["signer_certificate"])
        signer = key
    m.add_string(signer_blob)
    signature = signer.sign_ssh_data(m.asbytes()).asbytes()
    if spec.get("broken"):
        signature = signature[:-1] + bytes([signature[-1] ^ 1])
    m.add_string(signature)
    return m.asbytes()


def public_of(blob):
    m = Message(blob)
    m.get_text()
    return m.get_binary()


class Wire:
    """A connection whose sign-in and channels are done by hand."""

    def __init__(self, port):
        self.transport = paramiko.Transport(socket.create_connection(("127.0.0.1", port), 20))
        self.heard = []
        self._handler_table = {kind: self.note(kind) for kind in (ACCEPT, FAILURE, SUCCESS, BANNER, PK_OK)}
        self.transport.start_client(timeout=20)
        self.transport.auth_handler = self

    def note(self, kind):
        return lambda _self, m: self.heard.append(kind)

    def is_authenticated(self):
        return SUCCESS in self.heard

    def abort(self):
        pass

    def send(self, kind, *parts):
        m = Message()
        m.add_byte(bytes([kind]))
        m.add_bytes(message(*parts).asbytes())
        self.transport._send_message(m)

    def answer(self, after=0, wait=10.0):
        until = time.time() + wait
        while time.time() < until and self.transport.is_active():
            answers = [kind for kind in self.heard[after:] if kind != BANNER]
            if answers:
                return answers[-1]
            time.sleep(0.01)
        answers = [kind for kind in self.heard[after:] if kind != BANNER]
        return answers[-1] if answers else None

    def service(self):
        before = len(self.heard)
        self.send(5, "ssh-userauth")
        return self.answer(before)

    def offer(self, user, blob, algorithm):
        before = len(self.heard)
        self.send(REQUEST, user, "ssh-connection", "publickey", False, algorithm, blob)
        return self.answer(before)

    def sign(self, user, blob, algorithm, signed_for=None, signer=None):
        before = len(self.heard)
        body = lambda name: message(name, "ssh-connection", "publickey", True, algorithm, blob).asbytes()
        data = message(self.transport.session_id).asbytes() + bytes([REQUEST]) + body(signed_for or user)
        signature = (signer or key).sign_ssh_data(data).asbytes()
        m = Message()
        m.add_byte(bytes([REQUEST]))
        m.add_bytes(body(user))
        m.add_string(signature)
        self.transport._send_message(m)
        return self.answer(before)

    def run(self, command):
        channel = self.transport.open_session(timeout=20)
        channel.exec_command(command)
        out = channel.makefile().read().decode().strip()
        return out, channel.recv_exit_status()


key = paramiko.Ed25519Key.from_private_key_file(task["key"])
login = task["login"]
blob = certify(public_of(key.asbytes()), task["certificate"])
wire = Wire(task["port"])
result = {}


def signed_in():
    wire.service()
    assert wire.sign(login, blob, CERT) == SUCCESS, wire.heard
    wire.transport.authenticated = True


def outcome(answer):
    return {SUCCESS: "in", PK_OK: "go on", FAILURE: "refused", None: "silence"}[answer]


def sign_in():
    """Shows the certificate and signs for it."""
    wire.service()
    answer = wire.sign(login, blob, CERT)
    result["answer"] = outcome(answer)
    if answer == SUCCESS:
        result["ran"] = wire.run(task.get("command", "echo in"))[0]


def other_methods():
    """What OpenSSH's servers may offer, and this one does not."""
    wire.service()
    answers = []
    for method, rest in [("none", []), ("password", [False, "guess"]), ("keyboard-interactive", ["", ""]), ("hostbased", [])]:
        before = len(wire.heard)
        wire.send(REQUEST, login, "ssh-connection", method, *rest)
        answers.append(outcome(wire.answer(before)))
    answers.append(outcome(wire.sign(login, key.asbytes(), "ssh-ed25519")))
    result["answers"] = answers


def unsigned():
    """Offers the certificate, is told to go on, and goes on without signing for it."""
    wire.service()
    result["answer"] = outcome(wire.offer(login, blob, CERT))
    channels(0)
    result["signed_by_another"] = outcome(wire.sign(login, blob, CERT, signer=stranger()))


def stranger():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives import serialization as s
    import io
    pem = Ed25519PrivateKey.generate().private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption())
    return paramiko.Ed25519Key.from_private_key(io.StringIO(pem.decode()))


def channels(number):
    """Everything that a session is made of, on a channel that nobody opened."""
    mark = task["mark"]
    wire.send(CHANNEL, number, "pty-req", True, "xterm", 80, 24, 0, 0, b"\0")
    wire.send(CHANNEL, number, "env", True, "LC_ALL", "C")
    wire.send(CHANNEL, number, "auth-agent-req@openssh.com", True)
    wire.send(CHANNEL, number, "exec", True, f"touch {mark}")
    wire.send(CHANNEL, number, "shell", True)
    wire.send(DATA, number, f"touch {mark}\n")
    wire.send(CHANNEL, number, "window-change", False, 100, 30, 0, 0)
    wire.send(CHANNEL, number, "signal", False, "TERM")
    wire.send(CHANNEL, number, "subsystem", True, "sftp")
    wire.send(EOF, number)


def before_sign_in():
    """Opens a session and runs a command without any sign-in, before and after asking for the service."""
    for service in (False, True):
        if service:
            wire.service()
        wire.send(OPEN, "session", 0, 1 << 20, 1 << 15)
        channels(0)
        wire.send(80, "tcpip-forward", True, "127.0.0.1", 0)
    before = len(wire.heard)
    wire.send(REQUEST, login, "ssh-connection", "none")
    result["answer"] = outcome(wire.answer(before))


def unopened():
    """Signed in, uses channels that were never opened, those whose opening was refused, and one that was closed."""
    signed_in()
    every = (*range(32), 2**32 - 1)
    for number in every:
        channels(number)
    wire.send(OPEN, "x11", 77, 1 << 20, 1 << 15, "127.0.0.1", 1)
    wire.send(OPEN, "forwarded-tcpip", 78, 1 << 20, 1 << 15, "127.0.0.1", 22, "127.0.0.1", 1)
    for number in every:
        channels(number)
    result["then"] = wire.run("echo alive")[0]
    for number in every:
        channels(number)
    wire.send(CLOSE, 3)
    result["at last"] = wire.run("echo still alive")[0]


def change_user():
    """Offers as one user and signs as another, in each way there is."""
    other = task["other"]
    wire.service()
    result["offered"] = outcome(wire.offer(login, blob, CERT))
    result["signed as another"] = outcome(wire.sign(other, blob, CERT))
    result["offered again"] = outcome(wire.offer(login, blob, CERT))
    result["signature for another"] = outcome(wire.sign(other, blob, CERT, signed_for=login))
    result["refused, then as oneself"] = outcome(wire.sign(login, blob, CERT))
    wire.transport.authenticated = True
    before = len(wire.heard)
    wire.sign(other, blob, CERT)
    result["who"] = wire.run("id -un")[0]
    result["answered"] = [outcome(kind) for kind in wire.heard[before:]]


def anothers_offer():
    """Offers one's own certificate, then another's, and signs for one's own (CVE-2024-45337: the last offer counted)."""
    mine = paramiko.Ed25519Key.from_private_key_file(task["own"]["key"])
    own = certify(public_of(mine.asbytes()), task["own"]["certificate"])
    wire.service()
    result["own offered"] = outcome(wire.offer(login, own, CERT))
    result["another's offered"] = outcome(wire.offer(login, blob, CERT))
    result["own signed for"] = outcome(wire.sign(login, own, CERT, signer=mine))
    wire.transport.authenticated = True
    for name, *request in [
        ("display", "x11-req", False, False, "MIT-MAGIC-COOKIE-1", "5a" * 16, 0),
        ("terminal", "pty-req", False, "xterm", 80, 24, 0, 0, b"\0"),
    ]:
        channel = wire.transport.open_session(timeout=20)
        wire.send(CHANNEL, channel.remote_chanid, *request)
        channel.exec_command("echo [$DISPLAY]")
        result[name] = channel.makefile().read().decode().strip()


def refused_requests():
    """Requests that are never granted, or not a second time."""
    signed_in()
    t = wire.transport
    channel = t.open_session(timeout=20)
    channel.exec_command("cat")
    for name, ask in [
        ("second exec", lambda: channel.exec_command(f"touch {task['mark']}")),
        ("shell", lambda: channel.invoke_shell()),
        ("pty", lambda: channel.get_pty()),
        ("env", lambda: channel.set_environment_variable("LD_PRELOAD", "/tmp/evil.so")),
    ]:
        try:
            ask()
            result[name] = "granted"
        except paramiko.SSHException:
            result[name] = "refused"
        # paramiko closes a channel on which something is refused.
        channel = t.open_session(timeout=20)
        channel.exec_command("cat")
    channel = t.open_session(timeout=20)
    try:
        channel.invoke_subsystem("netconf")
        result["subsystem"] = "granted"
    except paramiko.SSHException:
        result["subsystem"] = "refused"
    for kind, args in [("x11", ("127.0.0.1", 1)), ("forwarded-tcpip", None), ("auth-agent@openssh.com", None), ("tun@openssh.com", None)]:
        try:
            if kind == "forwarded-tcpip":
                t.open_channel(kind, ("127.0.0.1", 22), ("127.0.0.1", 1), timeout=20)
            else:
                t.open_channel(kind, None, args, timeout=20)
            result[kind] = "granted"
        except (paramiko.ChannelException, paramiko.SSHException):
            result[kind] = "refused"
    result["then"] = wire.run("echo alive")[0]
    kept = []
    try:
        while len(kept) < 200:
            kept.append(t.open_session(timeout=20))
        result["a session too many"] = "granted"
    except (paramiko.ChannelException, paramiko.SSHException):
        result["a session too many"] = "refused"


def long_names():
    """Asks for a channel to a host, from a host, and for a terminal, each with a name of 200,000 bytes."""
    signed_in()
    t = wire.transport
    name = "x" * 200_000
    for what, to, origin in [("host", (name, 1), ("127.0.0.1", 1)), ("origin", ("127.0.0.1", 1), (name, 1))]:
        try:
            t.open_channel("direct-tcpip", to, origin, timeout=20)
            result[what] = "granted"
        except paramiko.SSHException:
            result[what] = "refused"
    try:
        t.open_session(timeout=20).get_pty(term=name)
        result["terminal"] = "granted"
    except paramiko.SSHException:
        result["terminal"] = "refused"


def packet():
    """Sends so many bytes to a session in one packet."""
    signed_in()
    t = wire.transport
    channel = t.open_session(timeout=20)
    channel.exec_command("cat >/dev/null")
    m = Message()
    m.add_byte(bytes([task["kind"]]))
    m.add_int(channel.remote_chanid)
    if task["kind"] == 95:
        m.add_int(1)
    m.add_string(b"x" * task["bytes"])
    t._send_user_message(m)
    try:
        result["then"] = wire.run("echo alive")[0]
    except (paramiko.SSHException, EOFError, OSError):
        result["then"] = "closed"


def variables():
    """Asks for each variable of the task, then looks at what the program got."""
    signed_in()
    channel = wire.transport.open_session(timeout=20)
    for name in task["variables"]:
        m = Message()
        m.add_byte(bytes([CHANNEL]))
        m.add_bytes(message(channel.remote_chanid, "env", False, name, "/tmp/evil").asbytes())
        wire.transport._send_user_message(m)
    channel.exec_command("env")
    names = [line.split("=")[0] for line in channel.makefile().read().decode().splitlines() if "/tmp/evil" in line]
    result["set"] = sorted(names)


def forwards():
    """Everything that leads somewhere else, without any right to it."""
    signed_in()
    t, path = wire.transport, task["mark"]
    try:
        t.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1), timeout=20)
        result["direct-tcpip"] = "granted"
    except paramiko.ChannelException:
        result["direct-tcpip"] = "refused"
    wire.send(OPEN, "direct-streamlocal@openssh.com", 77, 1 << 20, 1 << 15, path, "", 0)
    for name, data in [("tcpip-forward", ("127.0.0.1", 0)), ("streamlocal-forward@openssh.com", (path,))]:
        result[name] = "refused" if t.global_request(name, data, wait=True) is None else "granted"
    channel = t.open_session(timeout=20)
    channel.request_forward_agent(lambda _: None)
    channel.exec_command("echo [$SSH_AUTH_SOCK]")
    result["agent"] = channel.makefile().read().decode().strip()


globals()[task["attack"].replace("-", "_")]()
wire.transport.close()
print(json.dumps(result))

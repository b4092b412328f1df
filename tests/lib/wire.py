# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""PostgreSQL's protocol by hand: messages are made and read byte for byte.

    conn = wire.Connection(port).start(user="postgres", database="app")
    conn.send(wire.parse("", "SELECT $1::int"), wire.bind("", "", [b"1"]),
              wire.execute(""), wire.sync())
    assert conn.types(conn.until("Z")) == "12DCZ"
"""

import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct
import time

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
# What a write says when the other side has closed.
GONE = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError)
GSSENC_REQUEST = struct.pack("!ii", 8, 80877104)


def tls_context(ca=None, certificate=None, version=None, alpn=None):
    """Of a client that checks the server only when it is given the file of a CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(ca)
    if certificate is not None:
        context.load_cert_chain(certificate.crt, certificate.key)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if alpn is not None:
        context.set_alpn_protocols(alpn)
    return context


class Message:
    """One message of the server: its type as a letter, its body, its bytes."""

    def __init__(self, kind, body):
        self.kind = kind
        self.body = body
        self.raw = kind.encode("latin-1") + struct.pack("!i", len(body) + 4) + body

    def __repr__(self):
        return f"{self.kind}({self.body!r})"

    def __eq__(self, other):
        return isinstance(other, Message) and self.raw == other.raw

    def fields(self):
        """The fields of an ErrorResponse or NoticeResponse by their letter."""
        assert self.kind in "EN", self
        parts = self.body.rstrip(b"\0").split(b"\0")
        return {chr(p[0]): p[1:].decode("utf-8", "replace") for p in parts if p}

    def sqlstate(self):
        return self.fields().get("C")

    def values(self):
        """The values of a DataRow; None for NULL."""
        assert self.kind == "D", self
        count, at, out = struct.unpack_from("!h", self.body)[0], 2, []
        for _ in range(count):
            (length,) = struct.unpack_from("!i", self.body, at)
            at += 4
            if length < 0:
                out.append(None)
            else:
                out.append(self.body[at:at + length])
                at += length
        return out


def message(kind, body=b""):
    return kind.encode("latin-1") + struct.pack("!i", len(body) + 4) + body


def cstr(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def startup(version=0x00030000, **parameters):
    body = struct.pack("!i", version)
    for name, value in parameters.items():
        body += cstr(name) + cstr(value)
    body += b"\0"
    return struct.pack("!i", len(body) + 4) + body


def cancel_request(pid, key):
    return struct.pack("!iii", 12 + len(key), 80877102, pid) + key


def query(sql):
    return message("Q", cstr(sql))


def parse(name, sql, types=()):
    return message("P", cstr(name) + cstr(sql) + struct.pack("!h", len(types))
                   + b"".join(struct.pack("!I", t) for t in types))


def bind(portal, statement, values=(), formats=(), results=()):
    """`values` are bytes or None; `formats` and `results` lists of 0 (text) or 1 (binary)."""
    body = cstr(portal) + cstr(statement)
    body += struct.pack("!h", len(formats)) + b"".join(struct.pack("!h", f) for f in formats)
    body += struct.pack("!h", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    body += struct.pack("!h", len(results)) + b"".join(struct.pack("!h", f) for f in results)
    return message("B", body)


def describe(what, name=""):
    return message("D", what.encode() + cstr(name))


def execute(portal="", rows=0):
    return message("E", cstr(portal) + struct.pack("!i", rows))


def close(what, name=""):
    return message("C", what.encode() + cstr(name))


def sync():
    return message("S")


def flush():
    return message("H")


def terminate():
    return message("X")


def copy_data(data):
    return message("d", data)


def copy_done():
    return message("c")


def copy_fail(text):
    return message("f", cstr(text))


def md5_secret(user, password):
    """What PostgreSQL keeps of a password with password_encryption = md5."""
    return "md5" + hashlib.md5((password + user).encode()).hexdigest()


def md5_answer(user, password, salt):
    inner = md5_secret(user, password)[3:].encode()
    return message("p", cstr("md5" + hashlib.md5(inner + salt).hexdigest()))


class Connection:
    """A connection of a client that does exactly what it is told."""

    def __init__(self, port, host="127.0.0.1", timeout=15, tls=None):
        """A HOST that begins with / or @ is the directory of a Unix socket.  TLS: True, or an
        ssl.SSLContext; begun with SSLRequest."""
        if host[0] in "/@":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            path = f"{host}/.s.PGSQL.{port}"
            self.socket.connect(path.replace("@", "\0", 1))
        else:
            self.socket = socket.create_connection((host, port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket.sendall(SSL_REQUEST)
            answer = self.socket.recv(1)
            assert answer == b"S", f"SSLRequest was answered {answer!r}"
            self.encrypt(tls_context() if tls is True else tls)
        self.buffer = b""
        self.parameters = {}
        self.pid = None
        self.key = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def encrypt(self, context):
        """The handshake, at once."""
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def close(self):
        self.socket.close()

    def start(self, user="postgres", database="postgres", password=None, version=0x00030000, **parameters):
        """Logs in and reads up to the first ReadyForQuery."""
        self.send(startup(version, user=user, database=database, **parameters))
        for m in self.login(password, user):
            if m.kind == "S":
                name, value = m.body[:-1].split(b"\0", 1)
                self.parameters[name.decode()] = value.decode()
            elif m.kind == "K":
                self.pid, self.key = struct.unpack("!i", m.body[:4])[0], m.body[4:]
        return self

    def login(self, password=None, user="postgres"):
        """The messages up to ReadyForQuery; what is asked for on the way is answered."""
        seen, scram = [], None
        while True:
            m = self.receive()
            assert m is not None, "closed during the login"
            seen.append(m)
            if m.kind == "E":
                raise ServerError(m)
            if m.kind == "Z":
                return seen
            if m.kind == "R":
                code = struct.unpack("!i", m.body[:4])[0]
                if code == 3:
                    self.send(message("p", cstr(password)))
                elif code == 5:
                    self.send(md5_answer(user, password, m.body[4:]))
                elif code == 10:
                    scram = Scram(password)
                    self.send(scram.first())
                elif code == 11:
                    self.send(scram.final(m.body[4:]))
                elif code == 12:
                    scram.verify(m.body[4:])

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))
        return self

    def send_bytewise(self, *messages):
        """One byte in each packet; the other side may close before the last."""
        try:
            for byte in b"".join(messages):
                self.socket.sendall(bytes([byte]))
        except GONE:
            pass
        return self

    def send_split(self, at, *messages):
        """Two packets, cut behind AT bytes; the other side may close before the second."""
        data = b"".join(messages)
        try:
            self.socket.sendall(data[:at])
            time.sleep(0.001)
            self.socket.sendall(data[at:])
        except GONE:
            pass
        return self

    def receive(self):
        """The next message, or None when the other side has closed."""
        head = self._take(5)
        if head is None:
            return None
        kind, length = chr(head[0]), struct.unpack("!i", head[1:])[0]
        assert length >= 4, f"length {length} in a message {kind!r}"
        body = self._take(length - 4)
        assert body is not None, f"closed inside a message {kind!r}"
        return Message(kind, body)

    def until(self, kind="Z", times=1):
        """Messages up to and with the `times`-th of this kind."""
        seen = []
        while times > 0:
            m = self.receive()
            if m is None:
                raise AssertionError(f"closed before {kind!r}, after {seen}")
            seen.append(m)
            times -= m.kind == kind
        return seen

    def query(self, sql):
        return self.send(query(sql)).until("Z")

    def rest(self):
        """Everything until the other side closes."""
        seen = []
        while (m := self.receive()) is not None:
            seen.append(m)
        return seen

    def silent(self, seconds=0.2):
        """True when nothing arrives for that long."""
        if self.buffer:
            return False
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self.buffer += self.socket.recv(1)
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(before)

    def _take(self, count):
        while len(self.buffer) < count:
            try:
                piece = self.socket.recv(1 << 18)
            except ConnectionResetError:
                piece = b""
            if not piece:
                assert not self.buffer, f"closed inside a message: {self.buffer!r}"
                return None
            self.buffer += piece
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    @staticmethod
    def types(messages):
        """The letters of messages, without those that may arrive at any time."""
        return "".join(m.kind for m in messages if m.kind not in "NSA")


class ServerError(Exception):
    def __init__(self, error):
        super().__init__(str(error.fields()))
        self.error = error
        self.sqlstate = error.sqlstate()


def scram_secret(password, iterations=4096):
    """What PostgreSQL keeps of a password."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    keys = (stored, hmac.digest(salted, b"Server Key", "sha256"))
    text = [base64.b64encode(b).decode() for b in (salt, *keys)]
    return f"SCRAM-SHA-256${iterations}:{text[0]}${text[1]}:{text[2]}"


class Scram:
    """The client's side of SCRAM-SHA-256."""

    def __init__(self, password):
        self.password = (password or "").encode()
        self.bare = b"n=,r=" + base64.b64encode(os.urandom(18))

    def first(self):
        initial = b"n,," + self.bare
        return message("p", cstr("SCRAM-SHA-256") + struct.pack("!i", len(initial)) + initial)

    def final(self, server_first):
        parts = dict(p.split(b"=", 1) for p in server_first.split(b","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.password, base64.b64decode(parts[b"s"]), int(parts[b"i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        stored = hashlib.sha256(client_key).digest()
        without_proof = b"c=biws,r=" + parts[b"r"]
        auth = self.bare + b"," + server_first + b"," + without_proof
        proof = bytes(a ^ b for a, b in zip(client_key, hmac.digest(stored, auth, "sha256")))
        self.signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth, "sha256")
        return message("p", without_proof + b",p=" + base64.b64encode(proof))

    def verify(self, server_final):
        assert server_final == b"v=" + base64.b64encode(self.signature), server_final

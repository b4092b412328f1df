# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""A PostgreSQL that says what a test wants it to say.

    fake = FakePostgres(answer)       # answer(peer, message) -> True when it has answered
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={fake.port}"})

Without an answer of the test's own it lets everybody in, knows its settings, and completes every
statement with one row, `fake`.
"""

import contextlib
import socket
import struct
import threading

SETTINGS = {"search_path": '"$user", public', "TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "client_encoding": "UTF8",
            "standard_conforming_strings": "on", "IntervalStyle": "postgres"}
READY = b"Z\0\0\0\5I"


def message(kind, body=b""):
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


def error(text="no", sqlstate=None, severity="ERROR"):
    """ErrorResponse; without a SQLSTATE when there is none."""
    fields = b"S" + severity.encode() + b"\0V" + severity.encode() + b"\0"
    if sqlstate:
        fields += b"C" + sqlstate.encode() + b"\0"
    return message("E", fields + b"M" + text.encode() + b"\0\0")


def notice(text):
    return b"N" + error(text, "00000", "NOTICE")[1:]


def parameter(name, value):
    return message("S", name.encode() + b"\0" + value.encode() + b"\0")


def row(*values):
    return message("D", struct.pack("!h", len(values))
                   + b"".join(struct.pack("!i", len(v)) + v.encode() for v in values))


def rows(*values):
    """The result of a SELECT: one row."""
    head = struct.pack("!h", len(values)) + (b"v\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)) * len(values)
    return message("T", head) + row(*values) + message("C", b"SELECT 1\0")


class Peer:
    """One connection, once it is logged in."""

    def __init__(self, fake, connection, number):
        self.fake = fake
        self.socket = connection
        self.number = number
        self.pooled = False  # it is one that clients use
        self.skipping = False  # set after an error in a batch: up to Sync
        self.statement = b""  # of the last Parse

    def send(self, data):
        self.socket.sendall(data)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _take(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError
            data += piece
        return data

    def _start(self):
        while True:
            packet = self._take(struct.unpack("!i", self._take(4))[0] - 4)
            code = struct.unpack("!i", packet[:4])[0]
            if code in (80877103, 80877104):
                self.send(b"N")
            else:
                return code

    def greet(self):
        self.send(message("R", struct.pack("!i", 0)) + b"".join(parameter(*s) for s in SETTINGS.items())
                  + parameter("server_version", "15.0")
                  + message("K", struct.pack("!ii", 1000 + self.number, 77)) + READY)

    def complete(self, kind, body):
        if kind == "Q":
            probe = b"current_setting(n" in body
            known = str(1000 + self.number), "0", "\n".join(f"{k}={v}" for k, v in SETTINGS.items())
            self.send(rows(*(known if probe else ["fake"])) + READY)
        elif kind in "PBC":
            if kind == "P":
                self.statement = body.split(b"\0")[1]
            self.send(message({"P": "1", "B": "2", "C": "3"}[kind]))
        elif kind == "E" and self.statement == b"COMMIT":
            self.send(message("C", b"COMMIT\0"))
        elif kind == "E":
            self.send(row("fake") + message("C", b"SELECT 1\0"))
        elif kind == "D":
            self.send(message("n"))
        elif kind == "S":
            self.send(READY)

    def run(self):
        with contextlib.suppress(OSError):
            if self._start() == 80877102:
                self.close()
                return
            if not self.fake.answer(self, "startup", b""):
                self.greet()
            while True:
                head = self._take(5)
                kind, body = chr(head[0]), self._take(struct.unpack("!i", head[1:])[0] - 4)
                if kind == "X":
                    break
                self.pooled = self.pooled or b"current_setting(n" in body
                self.skipping = self.skipping and kind != "S"
                if not self.skipping and not self.fake.answer(self, kind, body):
                    self.complete(kind, body)
        self.close()


class FakePostgres:
    def __init__(self, answer=lambda peer, kind, body: False):
        self.answer = answer
        self.peers = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def target(self):
        return f"host=127.0.0.1 port={self.port}"

    def pooled(self):
        return [peer for peer in self.peers if peer.pooled]

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer = Peer(self, connection, len(self.peers))
                self.peers.append(peer)
                threading.Thread(target=peer.run, daemon=True).start()

    def close(self):
        self.socket.close()
        for peer in self.peers:
            peer.close()

# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""A gate between pgrecall and PostgreSQL: it holds bytes, or cuts, at a moment of the test's choice.

    gate = Gate(postgres.port)             # pgrecall connects to gate.port
    held = gate.hold_replies(b"SELECT 1")  # what answers the next request with these bytes
    held.wait()                            # the server has answered; pgrecall does not know
    held.release()

What is held of a connection is everything from that moment on, so order is kept.
"""

import contextlib
import socket
import threading

TIMEOUT = 15


class Hold:
    """One moment: the first request that has the pattern in it."""

    def __init__(self, pattern, what):
        self.pattern = pattern
        self.what = what  # "requests", "replies" or "cut"
        self.met = threading.Event()  # the request came
        self.held = threading.Event()  # and there is something that is held
        self.open = threading.Event()
        self.pair = None
        self.data = b""  # what came in one piece with it

    def wait(self):
        """Until something is held."""
        assert self.held.wait(TIMEOUT), f"no {self.what} for {self.pattern!r}"
        return self

    def release(self):
        self.open.set()

    def end(self):
        """After a cut: closes the server's side, too."""
        self.pair.shut()


class Pair:
    """One connection: the side of pgrecall and the side of the server."""

    def __init__(self, gate, near):
        self.gate = gate
        self.near = near
        self.far = socket.create_connection(("127.0.0.1", gate.target), timeout=TIMEOUT)
        self.holds = {"requests": None, "replies": None}
        for side in (near, self.far):
            side.settimeout(None)
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, sink, step in ((near, self.far, self.request), (self.far, near, self.reply)):
            threading.Thread(target=self.carry, args=(source, sink, step), daemon=True).start()

    def carry(self, source, sink, step):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if not step(data):
                    return
                sink.sendall(self.gate.edit(data) if step == self.reply else data)
            self.stay("replies" if step == self.reply else "requests")  # the end, too
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def stay(self, what):
        """Waits while the direction is held."""
        hold = self.holds[what]
        if hold is not None:
            hold.held.set()
            hold.open.wait()
            self.holds[what] = None

    def request(self, data):
        hold = self.gate.meet(data)
        if hold is not None:
            hold.pair = self
            hold.data = data
            if hold.what != "cut":
                self.holds[hold.what] = hold
            hold.met.set()
        self.stay("requests")
        if hold is not None and hold.what == "cut":
            self.far.sendall(data)
            self.near.shutdown(socket.SHUT_RDWR)
            self.near.close()
            hold.held.set()
            return False
        return True

    def reply(self, data):
        self.stay("replies")
        return True

    def shut(self):
        for side in (self.near, self.far):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()


class Gate:
    def __init__(self, target):
        self.target = target
        self.lock = threading.Lock()
        self.waiting = []
        self.pairs = []
        self.edit = lambda data: data  # what becomes of the server's bytes
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.socket.accept()
                self.pairs.append(Pair(self, near))

    def meet(self, data):
        with self.lock:
            for hold in self.waiting:
                if hold.pattern in data:
                    self.waiting.remove(hold)
                    return hold
        return None

    def _hold(self, pattern, what):
        hold = Hold(pattern, what)
        with self.lock:
            self.waiting.append(hold)
        return hold

    def hold_replies(self, pattern):
        """The server works, and pgrecall does not learn of it."""
        return self._hold(pattern, "replies")

    def hold_requests(self, pattern):
        """pgrecall has sent it, and the server does not have it yet."""
        return self._hold(pattern, "requests")

    def cut(self, pattern):
        """The server gets the request, and pgrecall loses the connection; the server's
        side stays until end()."""
        return self._hold(pattern, "cut")

    def close(self):
        self.socket.close()
        with self.lock:
            self.waiting.clear()
        for pair in self.pairs:
            for hold in pair.holds.values():
                if hold is not None:
                    hold.release()
            pair.shut()

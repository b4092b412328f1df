# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""The same messages sent to PostgreSQL and to pgrecall: the answers must be equal.

A script is a list of steps; a step is what is sent at once and what is awaited then.

    SCRIPT = [step(parse("", "SELECT 1"), describe("S"), flush(), until="T"),
              step(bind("", ""), execute(), sync())]

Equal means byte for byte, but for process ids, keys, object ids of tables, and where in
PostgreSQL's sources an error was raised when pgrecall itself is the one that says it.
"""

import os
import random
import struct
import time

import wire

ANSWERED = b"QSF"  # each of these is answered by one ReadyForQuery
CLOSED = "closed"


class Step:
    def __init__(self, messages, until, times, pause):
        self.messages = messages
        self.until = until
        self.times = times
        self.pause = pause


def step(*messages, until="Z", times=None, pause=0):
    """Sends MESSAGES and reads up to the TIMES-th message UNTIL (CLOSED: to the end; None:
    nothing).  Without TIMES: one for each message that ReadyForQuery answers."""
    if times is None:
        times = sum(m[:1] in [bytes([a]) for a in ANSWERED] for m in messages) if until == "Z" else 1
    return Step(messages, until, times, pause)


def splits(script):
    """Where the packets of a script are cut in two: some places, or with SPLITS=all behind
    each byte of its longest step."""
    longest = max(sum(map(len, one.messages)) for one in script)
    if os.environ.get("SPLITS") == "all":
        return range(1, longest)
    chosen = random.Random(longest)
    return sorted({1, 5, *(chosen.randrange(1, max(2, longest)) for _ in range(2))})


def run(conn, script, bytewise=False, split=None):
    """The answers to a script, a list for each step.  SPLIT: each step in two packets, cut
    behind that many bytes, or in its middle when it has not as many."""
    answers = []
    for one in script:
        size = sum(map(len, one.messages))
        if split is not None:
            conn.send_split(split if split < size else size // 2, *one.messages)
        elif bytewise:
            conn.send_bytewise(*one.messages)
        else:
            conn.send(*one.messages)
        if one.until is None:
            answers.append([])
        elif one.until == CLOSED:
            answers.append(conn.rest())
        else:
            answers.append(conn.until(one.until, one.times))
        time.sleep(one.pause)
    return answers


def _description(body):
    """A RowDescription without the object ids of tables, which differ from run to run."""
    count, at, out = struct.unpack_from("!H", body)[0], 2, [body[:2]]
    for _ in range(count):
        end = body.index(b"\0", at) + 1
        table = struct.unpack_from("!I", body, end)[0]
        out.append(body[at:end] + (b"table" if table else b"none") + body[end + 4:end + 18])
        at = end + 18
    return b"".join(out)


def canonical(message, places=True):
    """What must be equal of a message."""
    if message.kind == "K":
        return "K"
    if message.kind == "T":
        return "T", _description(message.body)
    if message.kind in "EN":
        return message.kind, {k: v for k, v in message.fields().items() if places or k not in "FLR"}
    if message.kind == "A":
        return "A", message.body[4:]
    return message.kind, message.body


def difference(want, got):
    """What differs between the answers of PostgreSQL and of pgrecall, or None."""
    for number, (w, g) in enumerate(zip(want, got, strict=True)):
        shown = f"step {number}\n  want {w}\n  got  {g}"
        if len(w) != len(g):
            return shown
        for a, b in zip(w, g):
            places = b.kind != "E" or "F" in b.fields()
            if canonical(a, places) != canonical(b, places):
                return f"{shown}\n  first: {a} / {b}"
    return None

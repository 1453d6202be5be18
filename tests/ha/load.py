# SPDX-License-Identifier: MIT
"""Senders and readers, each a user with their own connection, and what happened to their messages.

A sender repeats a message with its key until the response is 201, and only then sends the next one. A reader keeps a
stream open and resumes with its cursor. At the end, the history in the database decides which messages are lost,
doubled or reordered."""
import http.client
import json
import socket
import threading
import time

PAUSE = 0.05      # between a sender's messages
RETRY = 0.1       # before a repeat
PATIENCE = 30     # for a response
SILENCE = 25      # of a stream: longer than a heartbeat


class Client(threading.Thread):
    def __init__(self, load, name, token, address):
        super().__init__(name=name, daemon=True)
        self.load, self.token, self.address = load, token, address
        self.connection = None

    def connect(self, timeout):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(*self.address, timeout=timeout)
        return self.connection

    def drop(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Sender(Client):
    def __init__(self, *args):
        super().__init__(*args)
        self.acknowledged = {}  # text: id
        self.slowest = 0.0      # from the first attempt to the 201
        self.failures = []      # (seconds since the row began, what)
        self.unanswered = None

    def attempt(self, text):
        """Returns the message's id, or None if the message has to be repeated."""
        try:
            connection = self.connect(PATIENCE)
            connection.request("POST", f"/v1/chats/{self.load.chat}/messages", text, {
                "Authorization": f"Bearer {self.token}", "Idempotency-Key": text, "Content-Type": "text/plain"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 201:
                return json.loads(body)["id"]
            what = f"{answer.status} {body[:200]!r}"
        except (OSError, http.client.HTTPException, ValueError) as e:
            what = repr(e)
            self.drop()
        self.failures.append((round(time.monotonic() - self.load.began, 1), what))
        return None

    def run(self):
        number = 0
        while not self.load.sending_ends.is_set():
            number += 1
            text = f"{self.load.row}.{self.name}.{number}"
            began = time.monotonic()
            self.unanswered = text
            while (message := self.attempt(text)) is None:
                if self.load.giving_up.is_set():
                    return
                time.sleep(RETRY)
            self.unanswered = None
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.acknowledged[text] = message
            time.sleep(PAUSE)
        self.drop()


class Reader(Client):
    def __init__(self, *args):
        super().__init__(*args)
        self.cursor = self.socket = None
        self.got = []           # (id, text), in order of arrival
        self.gap, self.last = 0.0, None
        self.resumes, self.resets = 0, []
        self.ready = threading.Event()

    def take(self, event, data):
        if event == "reset":
            self.resets.append(data.get("reason"))
        if event == "hello":
            self.ready.set()
        self.cursor = data.get("cursor", self.cursor)
        if event == "message" and "text" in data:
            now = time.monotonic()
            if self.last is not None and not self.load.sending_ends.is_set():
                self.gap = max(self.gap, now - self.last)
            self.last = now
            self.got.append((data["id"], data["text"]))

    def read(self):
        """Reads one stream until it ends."""
        query = f"?since={self.cursor}" if self.cursor else ""
        connection = self.connect(SILENCE)
        connection.connect()
        self.socket = connection.sock
        connection.request("GET", f"/v1/stream{query}", headers={"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        if answer.status != 200:
            answer.read()
            return
        event = data = cursor = None
        while line := answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                data = value
            elif name == "id":
                cursor = value
            elif name == "" and data is not None:
                self.take(event, json.loads(data))
                self.cursor = cursor or self.cursor
                event = data = cursor = None

    def run(self):
        while not self.load.reading_ends.is_set():
            try:
                self.read()
            except (OSError, http.client.HTTPException, ValueError, AttributeError):
                pass
            self.drop()
            self.resumes += not self.load.reading_ends.is_set()
            time.sleep(RETRY)

    def end(self):
        """Ends a wait for the stream."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass


class Load:
    """groups: {name: (address, number of senders, number of readers)}; tokens: of that many users."""

    def __init__(self, row, chat, groups, tokens):
        self.row, self.chat, self.began = row, chat, time.monotonic()
        self.sending_ends, self.reading_ends, self.giving_up = threading.Event(), threading.Event(), threading.Event()
        self.senders, self.readers = {}, {}
        users = iter(tokens.items())
        for group, (address, senders, readers) in groups.items():
            self.senders[group] = [Sender(self, *next(users), address) for _ in range(senders)]
            self.readers[group] = [Reader(self, *next(users), address) for _ in range(readers)]

    def all_senders(self):
        return [s for group in self.senders.values() for s in group]

    def all_readers(self):
        return [r for group in self.readers.values() for r in group]

    def start(self):
        for reader in self.all_readers():
            reader.start()
        for reader in self.all_readers():
            if not reader.ready.wait(30):
                raise RuntimeError(f"{reader.name}: no stream within 30 s")
        for sender in self.all_senders():
            sender.start()

    def flowing(self, since):
        """Returns whether every sender got some messages acknowledged since then: see counts()."""
        return all(len(s.acknowledged) > since[s.name] + 5 for s in self.all_senders())

    def counts(self):
        return {s.name: len(s.acknowledged) for s in self.all_senders()}

    def stop(self, seconds):
        """Lets senders and readers finish. Returns a complaint for each sender that couldn't."""
        until = time.monotonic() + seconds
        self.sending_ends.set()
        for sender in self.all_senders():
            sender.join(max(0, until - time.monotonic()))
        self.giving_up.set()
        complaints = [f"{s.name}: {s.unanswered} got no 201: {s.failures[-1:]}"
                      for s in self.all_senders() if s.unanswered]
        last = max((i for s in self.all_senders() for i in s.acknowledged.values()), default=0)
        for reader in self.all_readers():
            while (not reader.got or reader.got[-1][0] < last) and time.monotonic() < until:
                time.sleep(0.05)
        self.reading_ends.set()
        for reader in self.all_readers():
            reader.end()
            reader.join(SILENCE + 5)
        return complaints


def ascending(numbers):
    return all(a < b for a, b in zip(numbers, numbers[1:]))


class Verdict:
    """The result of a load, according to the history."""

    def __init__(self, load, history):
        """history: (id, text) of the row's messages, by id."""
        texts = [text for _, text in history]
        ids = dict(history)
        senders, readers = load.all_senders(), load.all_readers()
        acknowledged = {text: number for s in senders for text, number in s.acknowledged.items()}
        self.acknowledged = len(acknowledged)
        self.lost = sum(ids.get(number) != text for text, number in acknowledged.items())
        self.doubled = len(texts) - len(set(texts))
        self.reordered = 0
        for sender in senders:
            own = [int(text.rsplit(".", 1)[1]) for text in texts if text.split(".")[1] == sender.name]
            self.reordered += not ascending(own)
        self.unread = self.repeated = 0
        for reader in readers:
            got = [number for number, _ in reader.got]
            first = list(dict.fromkeys(got))
            self.repeated += len(got) - len(first)
            self.reordered += not ascending(first)
            self.unread += len(set(acknowledged.values()) - set(first))
        self.resumes = sum(r.resumes for r in readers)
        self.resets = [reason for r in readers for reason in r.resets]
        self.failures = [(s.name, *f) for s in senders for f in s.failures]
        self.send_gap = {group: max((s.slowest for s in who), default=0) for group, who in load.senders.items()}
        self.read_gap = {group: max((r.gap for r in who), default=0) for group, who in load.readers.items()}

    def kept(self):
        return not (self.lost or self.doubled or self.reordered or self.unread or self.resets)

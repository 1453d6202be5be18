# SPDX-License-Identifier: MIT
"""Replaces /dev/watchdog, which build machines don't have, with a named pipe that Patroni's test driver writes to.

Patroni opens the pipe before it makes its PostgreSQL the primary. It writes "Ctimeout=N", then "1" at intervals, and
"V" before it closes the pipe as planned. If it writes nothing for N seconds, the machine is reset. With enabled = False
it isn't, as on a machine without a watchdog."""
import os
import re
import select
import shutil
import threading
import time


def give_to_postgres(path):
    """Does nothing unless this is root: tests/ha/files starts nothing as postgres."""
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


class Watchdog:
    def __init__(self, path, on_reset):
        os.mkfifo(path, 0o600)
        give_to_postgres(path)
        self.on_reset = on_reset
        self.enabled = True
        self.resets = 0
        self.timeout, self.fed = None, 0.0
        self.ending = False
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def disarm(self):
        self.timeout = None

    def take(self, text):
        self.fed = time.monotonic()
        for timeout, rest in re.findall(r"Ctimeout=(\d+)\n|(V)", text):
            self.timeout = None if rest else int(timeout)

    def run(self):
        while not self.ending:
            if select.select([self.fd], [], [], 0.1)[0]:
                self.take(os.read(self.fd, 4096).decode("ascii", "replace"))
            timeout = self.timeout
            if timeout is not None and time.monotonic() > self.fed + timeout:
                self.disarm()
                if self.enabled:
                    self.resets += 1
                    self.on_reset()

    def close(self):
        self.ending = True
        self.thread.join()
        os.close(self.fd)

# SPDX-License-Identifier: MIT
"""The machines of doc/ha: which processes run on each, and how these are started, killed and frozen. The main thread
starts all processes, and they die with it."""
import glob
import json
import os
import re
import signal
import subprocess
import time
import urllib.request

from watchdog import Watchdog, give_to_postgres

DATABASES = {"pg1": "127.0.0.11", "pg2": "127.0.0.12", "pg3": "127.0.0.13"}
NODES = {"chat1": "127.0.0.21", "chat2": "127.0.0.22"}
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
AS_POSTGRES = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]


class Failure(Exception):
    """The set-up doesn't behave as required."""


def wait_for(what, seconds, condition):
    """Waits until the condition is true. Returns its value."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise Failure(f"{what}: not within {seconds} s")


def send_signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Process:
    """One program in the foreground, with its log."""

    def __init__(self, log, argv, user=None, env=None):
        identity = ["--reuid", user, "--regid", user, "--init-groups"] if user else []
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *identity, *argv],
                                          stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          env={**CLEAN, **(env or {})}, start_new_session=True)

    def signal(self, number):
        if self.child.poll() is None:
            self.child.send_signal(number)

    def end(self, number, seconds=20):
        """Sends the signal and waits. Returns the time that it took."""
        began = time.monotonic()
        self.signal(number)
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        return time.monotonic() - began

    def running(self):
        return self.child.poll() is None


class Database:
    """One of the three database machines."""

    def __init__(self, site, name):
        self.site, self.name, self.address = site, name, DATABASES[name]
        self.dir = f"{site.dir}/{name}"
        self.data = f"{self.dir}/data"
        self.etcd = self.patroni = None
        for path in (self.dir, f"{self.dir}/run"):
            os.mkdir(path, 0o755)
            give_to_postgres(path)
        self.watchdog = Watchdog(f"{self.dir}/watchdog", self.reset)
        self.etcd_env = site.derive("etcd", self)
        self.config = site.derive("patroni.yml", self)
        site.derive("postern.sql", self)

    def start_etcd(self):
        with open(self.etcd_env, encoding="utf-8") as f:
            env = dict(re.findall(r'^(ETCD_\w+)="(.*)"$', f.read(), re.M))
        self.etcd = Process(f"{self.dir}/etcd.log", ["/usr/bin/etcd"], env=env)

    def start_patroni(self):
        self.patroni = Process(f"{self.dir}/patroni.log", ["/usr/bin/patroni", self.config], user="postgres")

    def boot(self):
        if self.etcd is None or not self.etcd.running():
            self.start_etcd()
        if self.patroni is None or not self.patroni.running():
            self.start_patroni()

    def postgres_pids(self):
        """Finds PostgreSQL's processes by their working directory, the data directory."""
        found = []
        for link in glob.glob("/proc/[0-9]*/cwd"):
            try:
                if os.readlink(link) == self.data:
                    found.append(int(link.split("/")[2]))
            except OSError:
                pass
        return [pid for pid in found if self.patroni is None or pid != self.patroni.child.pid]

    def signal_postgres(self, number):
        """Sends the signal to all of PostgreSQL's processes, the postmaster first."""
        for pid in sorted(self.postgres_pids()):
            send_signal(pid, number)

    def kill_postgres(self):
        while self.postgres_pids():
            self.signal_postgres(signal.SIGKILL)
            time.sleep(0.01)

    def kill(self):
        """Kills PostgreSQL and Patroni at the same time."""
        self.patroni.signal(signal.SIGKILL)
        self.kill_postgres()
        self.patroni.end(signal.SIGKILL)

    def reset(self):
        """Kills all processes, like a power failure or a watchdog. The watchdog's thread calls this too."""
        self.watchdog.disarm()
        for process in (self.patroni, self.etcd):
            if process is not None:
                process.signal(signal.SIGKILL)
        self.kill_postgres()

    def freeze(self, number=signal.SIGSTOP):
        for process in (self.patroni, self.etcd):
            process.signal(number)
        self.signal_postgres(number)

    def thaw(self):
        self.freeze(signal.SIGCONT)

    def ask(self, path):
        """Returns the response of Patroni's REST interface, or None."""
        try:
            url = f"http://{self.address}:{self.site.ports[8008]}{path}"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def configure(self, **settings):
        """Changes the settings that Patroni keeps in etcd for all machines."""
        url = f"http://{self.address}:{self.site.ports[8008]}/config"
        request = urllib.request.Request(url, json.dumps(settings).encode(), {"Content-Type": "application/json"},
                                         method="PATCH")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def ask_etcd(self, what, body):
        try:
            url = f"http://{self.address}:{self.site.ports[2379]}/v3/{what}"
            with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=5) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def psql(self, sql, database="postern"):
        argv = [*AS_POSTGRES, "psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", f"{self.dir}/run", "-p",
                str(self.site.ports[5432]), "-d", database, "-c", sql]
        out = subprocess.run(argv, env=CLEAN, check=True, capture_output=True, text=True, timeout=60, cwd="/")
        return [line.split("\t") for line in out.stdout.splitlines()]

    def end(self):
        self.watchdog.disarm()
        for process in (self.patroni, self.etcd):
            if process is not None:
                process.end(signal.SIGKILL)
        self.kill_postgres()
        self.watchdog.close()


class Node:
    """A machine that runs Postern."""

    def __init__(self, site, name, through_haproxy):
        self.site, self.name, self.address = site, name, NODES[name]
        self.port = site.ports[8080]
        self.process = None
        self.config = site.derive("postern.conf", self)
        if through_haproxy:
            with open(self.config, encoding="utf-8") as f:
                text = f.read()
            other = re.search(r"through HAProxy: (host=\S+ port=\d+)", text)
            if other is None:
                raise Failure("doc/ha/postern.conf doesn't say how to connect through HAProxy")
            text = re.sub(r"(?m)^(database = )host=\S+ port=\d+(.*?) target_session_attrs=\S+",
                          rf"\1{other.group(1)}\2", text)
            with open(self.config, "w", encoding="utf-8") as f:
                f.write(text)

    def start(self, program=None):
        env = {"POSTERN_RATE_SENDS": "0", "POSTERN_CONFIG": self.config}
        self.process = Process(f"{self.site.dir}/{self.name}.log", [program or self.site.program, "serve"], env=env)

    def command(self, *argv, **more):
        env = {**CLEAN, "POSTERN_CONFIG": self.config}
        done = subprocess.run([self.site.program, *argv], env=env, check=True, capture_output=True, text=True,
                              timeout=60, **more)
        return done.stdout.strip()

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}:{self.port}/readyz", timeout=2):
                return True
        except OSError:
            return False

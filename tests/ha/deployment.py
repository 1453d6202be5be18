# SPDX-License-Identifier: MIT
"""The set-up of doc/ha on loopback: its files, its start and stop, and its state.

The files are those of doc/ha with other addresses (10.0.0.x becomes 127.0.0.x), ports and paths. Apart from these, only
the watchdog's driver differs."""
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request

from machines import AS_POSTGRES, CLEAN, DATABASES, NODES, Database, Failure, Node, Process, wait_for

FRONT = "127.0.0.10"
PORTS = (2379, 2380, 5432, 8008, 8080)


def free_ports():
    """Returns {port in the files: port to use instead}. The latter are free at every address."""
    for base in random.sample(range(20000, 32000, len(PORTS)), 100):
        try:
            for address in (FRONT, *DATABASES.values(), *NODES.values()):
                for i in range(len(PORTS)):
                    with socket.socket() as s:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        s.bind((address, base + i))
        except OSError:
            continue
        return {port: base + i for i, port in enumerate(PORTS)}
    raise Failure("no free ports on loopback")


class Site:
    """The whole set-up, in its own folder."""

    def __init__(self, source, program):
        self.source, self.program = source, program
        self.dir = tempfile.mkdtemp(prefix="ha", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.ports = free_ports()
        self.haproxy = None
        self.databases = {name: Database(self, name) for name in DATABASES}
        self.nodes = {"chat1": Node(self, "chat1", False), "chat2": Node(self, "chat2", True)}
        with open(f"{self.dir}/postern.password", "w", encoding="utf-8") as f:
            f.write("change-me-postern\n")
        os.chmod(f"{self.dir}/postern.password", 0o600)

    def derive(self, name, machine=None):
        """Writes a file of doc/ha with the values of this machine. Returns its path."""
        with open(f"{self.source}/doc/ha/{name}", encoding="utf-8") as f:
            text = f.read()
        own = f"{self.dir}/{machine.name}" if machine else self.dir
        for what, with_what in {
                "/var/lib/etcd/postern": f"{own}/etcd",
                "/var/lib/postgresql/postern": f"{own}/data",
                "/var/lib/postgresql/patroni.pgpass": f"{own}/pgpass",
                "/var/run/postgresql": f"{own}/run",
                "/etc/patroni/": f"{own}-",
                "/run/haproxy/admin.sock": f"{self.dir}/haproxy.sock",
                "/etc/postern.password": f"{self.dir}/postern.password",
                "device: /dev/watchdog": f"device: {own}/watchdog\n  driver: testing"}.items():
            text = text.replace(what, with_what)
        if machine:
            text = text.replace("@NAME@", machine.name).replace("@ADDRESS@", machine.address)
        text = text.replace("10.0.0.", "127.0.0.")
        for port, other in self.ports.items():
            text = re.sub(rf"\b{port}\b", str(other), text)
        # The list of hosts relies on the default port.
        text = re.sub(r"(host=[\d.,]+)(?! port)( user)", rf"\1 port={self.ports[5432]}\2", text)
        path = f"{own}-{name}" if machine else f"{own}/{name}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def start(self):
        for database in self.databases.values():
            database.start_etcd()
        for database in self.databases.values():
            database.start_patroni()
        config = self.derive("haproxy.cfg")
        self.haproxy = Process(f"{self.dir}/haproxy.log", ["/usr/sbin/haproxy", "-db", "-f", config])
        self.wait_healthy(120)
        for node in self.nodes.values():
            node.start()
        for node in self.nodes.values():
            wait_for(f"{node.name} ready", 60, node.ready)

    def cluster(self):
        """Returns the state, from the first Patroni that responds: {"members": [{"name", "role", "state", …}]}."""
        for database in self.databases.values():
            found = database.ask("/cluster")
            if found:
                return found
        return {"members": []}

    def roles(self):
        return {m["name"]: m["role"] for m in self.cluster()["members"]
                if m["state"] in ("running", "streaming")}

    def leader(self):
        """Returns the database machine that holds the leader lock, or None."""
        names = [name for name, role in self.roles().items() if role == "leader"]
        return self.databases[names[0]] if names else None

    def standby(self):
        """Returns the synchronous standby, or None."""
        names = [name for name, role in self.roles().items() if role == "sync_standby"]
        return self.databases[names[0]] if names else None

    def healthy(self):
        roles = sorted(self.roles().values())
        lags = [m.get("lag", 0) for m in self.cluster()["members"]]
        return roles == ["leader", "replica", "sync_standby"] and "unknown" not in lags

    def wait_healthy(self, seconds):
        wait_for("a leader, a synchronous and another standby", seconds, self.healthy)

    def watchdogs(self, enabled):
        for database in self.databases.values():
            database.watchdog.enabled = enabled

    def watchdog_resets(self):
        return sum(database.watchdog.resets for database in self.databases.values())

    def haproxy_has(self, node):
        """Returns whether HAProxy sends requests to the node."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{self.dir}/haproxy.sock")
            s.sendall(b"show stat\n")
            rows = [row.split(",") for row in s.makefile().read().splitlines()]
        return any(row[:2] == ["postern", node.name] and row[17].startswith("UP") for row in rows)

    def make_chat(self, node, tokens):
        owner, *others = tokens
        body = json.dumps({"kind": "group", "title": "Everybody", "members": others}).encode()
        request = urllib.request.Request(f"http://{node.address}:{node.port}/v1/chats", body,
                                         {"Authorization": f"Bearer {tokens[owner]}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["id"]

    def other_version(self):
        """Returns a copy of the program with another text of the SQL functions, so that they get another schema: one
        letter of a comment differs."""
        with open(f"{self.source}/sql/functions/streams/subscribe.sql", "rb") as f:
            comment = f.read().splitlines()[1]
        with open(self.program, "rb") as f:
            image = f.read()
        if not comment.startswith(b"-- ") or image.count(comment) != 1:
            raise Failure(f"{self.program} doesn't contain the comment {comment} once")
        path = f"{self.dir}/postern-other"
        with open(path, "wb") as f:
            f.write(image.replace(comment, comment[:3] + comment[3:4].swapcase() + comment[4:]))
        os.chmod(path, 0o755)
        return path

    def lead_etcd_from(self, database):
        """Makes this machine's etcd the leader, because losing both leaders at once takes longest."""
        def status(one):
            return one.ask_etcd("maintenance/status", {}) or {}
        wanted = wait_for("etcd", 30, lambda: status(database).get("header", {}).get("member_id"))
        for one in self.databases.values():
            if status(one).get("header", {}).get("member_id") == status(one).get("leader") != wanted:
                one.ask_etcd("maintenance/transfer-leadership", {"targetID": wanted})
        wait_for(f"{database.name} leading etcd", 30, lambda: status(database).get("leader") == wanted)

    def patronictl(self, *argv):
        config = next(iter(self.databases.values())).config
        argv = [*AS_POSTGRES, "patronictl", "-c", config, *argv]
        done = subprocess.run(argv, env={**CLEAN, "HOME": self.dir}, capture_output=True, text=True, timeout=90,
                              cwd="/", check=False)
        if done.returncode != 0:
            raise Failure(f"patronictl {argv}: {done.stdout}{done.stderr}")
        return done.stdout

    def end(self, keep):
        for process in [n.process for n in self.nodes.values()] + [self.haproxy]:
            if process is not None:
                process.end(signal.SIGTERM)
        for database in self.databases.values():
            database.end()
        if not keep:
            shutil.rmtree(self.dir)

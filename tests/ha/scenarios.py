# SPDX-License-Identifier: MIT
"""The faults that are injected while the load runs. Each function returns when what it stopped is running again. Then
`run` waits until the cluster is healthy, and checks the result."""
import os
import signal
import time

from machines import Failure, wait_for

FROZEN = 60


def successor(site, former, seconds=60):
    """Waits until another machine is the primary, also by its own Patroni's status."""
    def other():
        leader = site.leader()
        if leader and leader is not former and (leader.ask("/patroni") or {}).get("role") == "master":
            return leader
        return None
    return wait_for(f"a successor of {former.name}", seconds, other)


def still(site, load):
    """No fault, for comparison of the gaps."""
    time.sleep(10)


def switchover(site, load):
    """A planned switchover, as for maintenance."""
    leader, standby = site.leader(), site.standby()
    site.patronictl("switchover", "--leader", leader.name, "--candidate", standby.name, "--force")
    successor(site, leader)


def postgres(site, load):
    """The primary's PostgreSQL is killed; its Patroni survives and notices."""
    leader = site.leader()
    leader.kill_postgres()
    successor(site, leader)


def both(site, load):
    """PostgreSQL and Patroni are killed together. The watchdog is no longer written to and resets the machine."""
    leader = site.leader()
    leader.kill()
    successor(site, leader)
    leader.boot()


def machine(site, load):
    """The primary's machine, with its member of etcd, loses power, and boots again after a successor was elected."""
    leader = site.leader()
    leader.reset()
    successor(site, leader)
    leader.boot()


def patroni(site, load):
    """Only Patroni is killed, and isn't restarted as systemd would do. The watchdog stops PostgreSQL."""
    leader = site.leader()
    leader.patroni.end(signal.SIGKILL)
    successor(site, leader)
    time.sleep(15)  # time for the unsupervised primary to accept writes
    leader.boot()


def patroni_async(site, load):
    """The same without synchronous_mode."""
    leader = site.leader()
    leader.configure(synchronous_mode=False)
    wait_for("no synchronous standby", 30, lambda: site.standby() is None
             and leader.psql("show synchronous_standby_names") in ([], [[""]]))
    try:
        patroni(site, load)
    finally:
        wait_for("a leader", 60, site.leader).configure(synchronous_mode=True)


def frozen(site, load):
    """The primary's machine freezes for a minute, then continues."""
    leader = site.leader()
    leader.freeze()
    until = time.monotonic() + FROZEN
    successor(site, leader)
    time.sleep(max(0, until - time.monotonic()))
    leader.thaw()
    time.sleep(5)
    leader.boot()


def standby(site, load):
    """The synchronous standby is killed; another one takes its place."""
    one = site.standby()
    one.kill()
    wait_for("another synchronous standby", 60, lambda: site.standby() not in (None, one))
    one.boot()


def etcd_member(site, load):
    """One of etcd's three members is killed, that of the primary's machine."""
    leader = site.leader()
    leader.etcd.end(signal.SIGKILL)
    time.sleep(30)
    leader.start_etcd()


def etcd(site, load):
    """All members of etcd are down for longer than Patroni's ttl."""
    leader = site.leader()
    for database in site.databases.values():
        database.etcd.signal(signal.SIGKILL)
    time.sleep(40)
    for database in site.databases.values():
        database.etcd.end(signal.SIGKILL)
        database.start_etcd()
    wait_for("a leader", 60, site.leader)
    if site.leader() is not leader:
        raise Failure("the loss of etcd changed the primary, in spite of failsafe_mode")


def node(site, load):
    """A Postern node is killed and started again."""
    one = site.nodes["chat1"]
    one.process.end(signal.SIGKILL)
    since = load.counts()
    wait_for("sends through the other node", 30, lambda: load.flowing(since))
    one.start()
    wait_for(f"{one.name} ready", 60, one.ready)


def restart_each(site, load, program):
    for one in site.nodes.values():
        one.process.end(signal.SIGTERM)
        one.start(program)
        wait_for(f"{one.name} ready", 60, one.ready)
        # As the manual says: restart the next node when HAProxy uses this one again.
        wait_for(f"{one.name} in HAProxy", 30, lambda: site.haproxy_has(one))
        since = load.counts()
        wait_for("sends", 30, lambda: load.flowing(since))


def rolling(site, load):
    """Both Postern nodes are restarted one after the other, five times."""
    for _ in range(5):
        restart_each(site, load, site.program)


def upgrade(site, load):
    """The same, with another version of the binary and of the SQL functions. Meanwhile both versions run."""
    other = site.other_version()
    restart_each(site, load, other)
    for one in site.nodes.values():
        if os.readlink(f"/proc/{one.process.child.pid}/exe") != other:
            raise Failure(f"{one.name} doesn't run the other version")


# name: (function, watchdog, and the promises: whether every acknowledged message is kept, the longest gap of a sender
# in seconds, whether no attempt fails)
SCENARIOS = {
    "still": (still, "", True, 1, True),
    "switchover": (switchover, "", True, 3, False),
    "postgres": (postgres, "", True, None, False),
    "both": (both, "stand-in", True, None, False),
    "machine": (machine, "", True, None, False),
    "patroni": (patroni, "stand-in", True, None, False),
    "frozen": (frozen, "stand-in", True, None, False),
    "standby": (standby, "", True, None, False),
    "etcd-member": (etcd_member, "", True, None, False),
    "etcd": (etcd, "", True, None, False),
    "node": (node, "", True, None, False),
    "rolling": (rolling, "", True, 2, True),
    "upgrade": (upgrade, "", True, 2, True),
    "frozen-bare": (frozen, "none", True, None, False),
    "patroni-bare": (patroni, "none", False, None, False),
    "patroni-async": (patroni_async, "none", False, None, False),
}
OF_NODES = ("node", "rolling", "upgrade")

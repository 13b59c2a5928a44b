"""A SLURM of one node in a folder of its own: nothing of it lies in /etc or /run, or stays when it ends.

It needs root and the Debian packages ``slurm-wlm munge``; with accounting ``slurmdbd mariadb-server``, too.
``python tests/helpers/slurm_node.py COMMAND...`` runs a command that finds it, and ends it when that ends;
`make slurm` does so with the workflow.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
OF_ACCOUNTING = ("mariadb-install-db", "mariadbd", "slurmdbd")
# Where Debian has daemons, which isn't always on PATH.
SYSTEM_PATH = "/usr/sbin:/sbin"
CLIENTS = ("sbatch", "srun", "squeue", "sacct", "scontrol", "scancel", "sinfo", "sacctmgr", "sshare")
PATIENCE = 120
"""Seconds that a daemon may take until it answers."""

SLURM = """\
ClusterName=ci
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/slurmctld
SlurmdSpoolDir={folder}/slurmd
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# No control groups: a container rarely may make them. By process group: by parent, what outlives its parent
# outlives the job.
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
MinJobAge=3600
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
# The node is taken to have what this file says, whatever the machine has.
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=localhost CPUs=8 RealMemory=32000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes=localhost Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=localhost MaxTime=INFINITE State=UP
{accounting}
"""
WITHOUT_ACCOUNTING = "AccountingStorageType=accounting_storage/none"
WITH_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={ports[2]}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations
AccountingStorageTRES=gres/gpu
"""
SLURMDBD = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdPort={ports[2]}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[3]}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""
# Two GPUs that any file can stand for: nothing opens them.
GRES = "NodeName=localhost Name=gpu File=/dev/null\nNodeName=localhost Name=gpu File=/dev/zero\n"
MAKE_USER = """\
CREATE DATABASE slurm;
CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm';
CREATE USER slurm@localhost IDENTIFIED BY 'slurm';
GRANT ALL ON slurm.* TO slurm@'127.0.0.1';
GRANT ALL ON slurm.* TO slurm@localhost;
"""


def missing(*, accounting: bool = False) -> str | None:
    """Say what such a node lacks here, or None."""
    needed = (*DAEMONS, *(OF_ACCOUNTING if accounting else ()))
    absent = [name for name in needed if _program(name) is None]
    if absent:
        packages = "slurm-wlm munge" + (" slurmdbd mariadb-server" if accounting else "")
        return f"{', '.join(absent)} isn't installed (Debian: apt-get install {packages})"
    return None if os.geteuid() == 0 else "the daemons of SLURM need root"


@dataclass(frozen=True)
class SlurmNode:
    """A node whose daemons run.

    Attributes
    ----------
    folder : Path
        Configuration, logs and state.
    environment : Mapping[str, str]
        What a command needs to find this SLURM, and not one of the machine.
    """

    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def run(self, *command: object) -> str:
        """Run a command of SLURM, such as ``scontrol``, and give what it prints."""
        program = _program(str(command[0])) or str(command[0])
        return subprocess.run(
            [program, *map(str, command[1:])],
            env=self.environment, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip


@contextmanager
def slurm_node(folder: Path, *, accounting: bool = False) -> Iterator[SlurmNode]:
    """Start the daemons in a folder, and end them and what they run.

    Parameters
    ----------
    folder : Path
        Empty. Its path is short, since that of a socket may have 107 bytes at most.
    accounting : bool
        Whether it has a database of jobs and accounts, with the account ``lab`` for root.
    """
    ports = _free_ports(4)
    _configure(folder, ports, accounting=accounting)
    _write_clients(folder)
    path = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
    node = SlurmNode(folder, environment)
    with ExitStack() as running:
        _start_munge(running, node)
        if accounting:
            _start_accounting(running, node, ports)
        _start(running, node, ["slurmctld", "-D"])
        _wait(["scontrol", "ping"], node, "UP")
        if accounting:
            _add_account(node)
        _start(running, node, ["slurmd", "-D", "-N", "localhost"])
        _wait(["sinfo", "-h", "-p", "cpu", "-o", "%T"], node, "idle")
        running.callback(_cancel_jobs, node)
        yield node


def _configure(folder: Path, ports: Sequence[int], *, accounting: bool) -> None:
    folder.chmod(0o755)
    for name in ("slurmctld", "slurmd", "database"):
        (folder / name).mkdir()
    store = (WITH_ACCOUNTING if accounting else WITHOUT_ACCOUNTING).format(folder=folder, ports=ports)
    (folder / "slurm.conf").write_text(SLURM.format(folder=folder, ports=ports, accounting=store))
    (folder / "gres.conf").write_text(GRES)
    _write_secret(folder / "slurmdbd.conf", SLURMDBD.format(folder=folder, ports=ports).encode())
    _write_secret(folder / "munge.key", os.urandom(1024))


def _write_clients(folder: Path) -> None:
    """Write commands that find this SLURM without SLURM_CONF, which Snakemake takes out of jobs."""
    (folder / "bin").mkdir()
    for name in CLIENTS:
        script = folder / "bin" / name
        script.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {_program(name)} "$@"\n')
        script.chmod(0o755)


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _start_munge(running: ExitStack, node: SlurmNode) -> None:
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    options = [f"--{option}={node.folder}/munge.{ending}" for option, ending in files.items()]
    # Force: it runs as root here, which it would warn of and end.
    _start(running, node, ["munged", "--foreground", "--force", *options])
    _wait(["munge", "-n", "-S", node.folder / "munge.socket"], node, "MUNGE")


def _start_accounting(running: ExitStack, node: SlurmNode, ports: Sequence[int]) -> None:
    data, at = node.folder / "database", node.folder / "mariadb.socket"
    # --no-defaults: the settings of the machine's own server aren't ours.
    node.run("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root", "--skip-test-db",
             "--auth-root-authentication-method=normal")  # fmt: skip
    _start(
        running, node,
        ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={at}",
         f"--port={ports[3]}", "--bind-address=127.0.0.1", f"--pid-file={node.folder}/mariadb.pid",
         "--innodb-flush-log-at-trx-commit=0"],
    )  # fmt: skip
    client = ["mariadb", "--no-defaults", "-u", "root", f"--socket={at}", "-e"]
    _wait([*client, "SELECT 'ready'"], node, "ready")
    node.run(*client, MAKE_USER)
    _start(running, node, ["slurmdbd", "-D"])
    _wait(["sacctmgr", "-n", "show", "configuration"], node, "SLURMDBD_CONF")


def _add_account(node: SlurmNode) -> None:
    _wait(["sacctmgr", "-n", "list", "cluster"], node, "ci")
    node.run("sacctmgr", "-i", "add", "account", "lab", "cluster=ci")
    node.run("sacctmgr", "-i", "add", "user", "root", "account=lab", "cluster=ci")


def _start(running: ExitStack, node: SlurmNode, command: Sequence[str]) -> None:
    said = running.enter_context((node.folder / f"{command[0]}.said").open("wb"))
    process = subprocess.Popen(
        [_program(command[0]) or command[0], *command[1:]], env=node.environment,
        stdin=subprocess.DEVNULL, stdout=said, stderr=said,
    )  # fmt: skip
    running.callback(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _cancel_jobs(node: SlurmNode) -> None:
    node.run("scancel", "--full", "--user", "root")
    _wait(["sh", "-c", "squeue -h | grep -q . || echo none"], node, "none")


def _wait(command: Sequence[object], node: SlurmNode, word: str) -> None:
    """Wait until a command says a word."""
    until = time.monotonic() + PATIENCE
    said = ""
    while time.monotonic() < until:
        done = subprocess.run(
            list(map(str, command)), env=node.environment, capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        if done.returncode == 0 and word in done.stdout:
            return
        time.sleep(0.3)
    logs = "".join(path.read_text(errors="replace")[-2000:] for path in node.folder.glob("*.said"))
    raise TimeoutError(f"{' '.join(map(str, command))} doesn't say {word!r} but {said!r}\n{logs}")


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), SYSTEM_PATH]))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def main(command: Sequence[str]) -> int:
    """Run a command beside a SLURM of its own, and give its exit code."""
    if not command:
        raise SystemExit("give the command to run, such as srun hostname")
    if lack := missing():
        raise SystemExit(lack)
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, slurm_node(Path(folder)) as node:
        return subprocess.run(list(command), env=node.environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

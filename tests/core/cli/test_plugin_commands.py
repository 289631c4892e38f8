"""Commands of plugins that hang or fail: the help comes all the same, and the plugin is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support import breakages

_SPEC = "@hookimpl\ndef memhost_commands():\n    return [CommandSpec(name='acme', summary='s', load=load)]\n"


def memhost(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "memhost", *words]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, cwd=folder, text=True, capture_output=True, check=False
    )


def test_help_does_not_wait_for_a_plugin_that_hangs(tmp_path: Path) -> None:
    breakages.write(tmp_path, {"slow": "import threading\nthreading.Event().wait()\n" + _SPEC})
    shown = memhost(tmp_path, "--help")
    assert shown.returncode == 0
    assert "Run the server." in shown.stdout
    assert "plugin.import_hangs plugin=broken-slow distribution=broken-slow version=1.2.3" in shown.stderr


def test_a_command_that_does_not_load_names_its_plugin(tmp_path: Path) -> None:
    breakages.write(tmp_path, {"command": "def load(): raise RuntimeError('no command')\n" + _SPEC})
    run = memhost(tmp_path, "acme")
    assert run.returncode == 1
    assert "the plugin broken-command (broken-command 1.2.3) fails to load: RuntimeError: no command" in run.stderr


def test_a_command_of_the_wrong_type_names_its_plugin(tmp_path: Path) -> None:
    breakages.write(tmp_path, {"command": "def load(): return 5\n" + _SPEC})
    run = memhost(tmp_path, "acme")
    assert run.returncode == 1
    assert "the plugin broken-command (broken-command 1.2.3) is of the type int" in run.stderr


def test_disable_writes_the_file_that_the_server_reads(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.toml"
    file.write_text("[server]\nport = 9001\n")
    (tmp_path / ".env").write_text(f"CONFIG_FILE={file}\n")
    run = memhost(tmp_path, "plugins", "disable", "auth-jwt")
    assert run.returncode == 0, run.stderr
    assert str(file) in run.stdout
    assert "auth-jwt" in file.read_text()
    assert not (tmp_path / "memhost.toml").exists()

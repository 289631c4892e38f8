"""For commands that plugins add (`memhost_commands`): the options, the output and the way in of the host's own.

```python
@click.command()
@config_options
@json_option
def tags(data, config_file, as_json):
    \"\"\"List the tags in use.\"\"\"

    async def work():
        async with opened(data, config_file) as host:
            return await count_tags(host.store)

    show(run(work))
```

Errors of `memhost.errors` that a command raises become one sentence and the exit code that fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memhost.cli.access import administrator, opened, run
from memhost.cli.failures import CommandError
from memhost.cli.options import config_options, confirm, force_option, json_option, show, url_options
from memhost.cli.printing import minute, table
from memhost.cli.root import Nested
from memhost.settings import Configuration

__all__ = [
    "CommandError",
    "Nested",
    "administrator",
    "config_options",
    "configuration",
    "confirm",
    "force_option",
    "json_option",
    "minute",
    "opened",
    "run",
    "serve_interfaces",
    "show",
    "table",
    "url_options",
]


def configuration(data: str | None = None, config_file: Path | None = None) -> Configuration:
    """Return the configuration that a server would start with; `data` is the folder of its files.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    from memhost.host import startup

    return startup.load(options={"server.data_dir": data}, config_file=config_file)[0]


def serve_interfaces(
    names: Sequence[str],
    *,
    host: str | None,
    port: int | None,
    data: str | None,
    config_file: Path | None,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Run the server with these interfaces only, until a signal ends it; `options` are further settings by path.

    Raises:
        ConfigurationError: It cannot or must not start as configured.
    """
    from memhost.cli.server.serve import run_with

    chosen = {
        **(options or {}),
        "server.interfaces": list(names),
        "server.host": host,
        "server.port": port,
        "server.data_dir": data,
    }
    run_with(chosen, config_file=config_file)

"""The host: settings and plugins become a running server, which interfaces and commands use."""

from memhost.host.host import ROLES, Host
from memhost.host.maintenance import core_tasks
from memhost.host.operations import core_operations
from memhost.host.running import open_host

__all__ = ["ROLES", "Host", "core_operations", "core_tasks", "open_host"]

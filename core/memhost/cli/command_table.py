"""The table of the host's commands, apart from the commands so that `memhost --help` imports none of them."""

from __future__ import annotations

from typing import NamedTuple


class Lazy(NamedTuple):
    """Where a command lives, and what the list of commands says about it."""

    target: str
    summary: str
    hidden: bool = False


COMMANDS = {
    "serve": Lazy("memhost.cli.server.serve:serve", "Run the server."),
    "api": Lazy("memhost.cli.server.serve:api", "Same as serve, with Agent Memory Server's options.", hidden=True),
    "worker": Lazy("memhost.cli.server.worker:worker", "Run background jobs beside the servers."),
    "task-worker": Lazy("memhost.cli.server.worker:worker", "Same as worker, Agent Memory Server's name.", hidden=True),
    "demo": Lazy("memhost.cli.server.demo:demo", "Try it out: a server, a conversation, a few questions."),
    "search": Lazy("memhost.cli.data.search:search", "Search memories."),
    "context": Lazy("memhost.cli.data.context:context", "Print what is remembered for a query, for a prompt."),
    "profile": Lazy("memhost.cli.data.users:profile", "Show what is known of a user, and standing rules."),
    "add": Lazy("memhost.cli.data.memories:add", "Store a memory."),
    "show": Lazy("memhost.cli.data.memories:show_", "Show all fields of a memory."),
    "explain": Lazy("memhost.cli.data.memories:explain", "Show what a memory was made from, and what from it."),
    "edit": Lazy("memhost.cli.data.memories:edit", "Change a memory."),
    "forget": Lazy("memhost.cli.data.memories:forget", "Remove memories by their ids."),
    "rm": Lazy("memhost.cli.data.memories:forget", "Same as forget.", hidden=True),
    "sessions": Lazy("memhost.cli.data.sessions:sessions", "List, show and delete sessions."),
    "call": Lazy("memhost.cli.data.call:call", "Call any operation by its name."),
    "user": Lazy("memhost.cli.data.users:user", "Export or remove all that is stored of a user."),
    "history": Lazy("memhost.cli.proof.history:history", "List, compare, restore and redact versions of a memory."),
    "audit": Lazy("memhost.cli.proof.audit:audit", "Show the log of all changes, and who made them."),
    "verify": Lazy("memhost.cli.proof.audit:verify", "Prove that nobody else changed what is stored."),
    "trash": Lazy("memhost.cli.data.trash:trash", "List and restore memories that the server removed."),
    "review": Lazy("memhost.cli.data.review:review", "Decide on memories that wait for a review."),
    "compact": Lazy("memhost.cli.data.trash:compact", "Merge memories that repeat each other or mean the same."),
    "rebuild": Lazy("memhost.cli.data.extraction:rebuild", "Make extracted memories again from their turns."),
    "jobs": Lazy("memhost.cli.data.jobs:jobs", "List background jobs; retry or discard dead ones."),
    "extract": Lazy("memhost.cli.data.extract:extract", "Extract memories with the language model, or try it."),
    "extraction": Lazy("memhost.cli.data.extraction:extraction", "Show how a session's memories were extracted."),
    "strategies": Lazy("memhost.cli.data.extract:strategies", "List and compare extraction strategies."),
    "usage": Lazy("memhost.cli.data.usage:usage", "Show calls of language models by purpose, and their cost."),
    "plugins": Lazy("memhost.cli.plugins.plugins:plugins", "List plugins, and what they offer."),
    "eval": Lazy("memhost.cli.data.evaluate:evaluate", "Measure how well a server finds memories."),
    "config": Lazy("memhost.cli.server.config:config", "Show and check the configuration."),
    "doctor": Lazy("memhost.cli.server.doctor:doctor", "Check everything, and say what to fix."),
    "export": Lazy("memhost.cli.data.transfer:export", "Write memories and sessions to a file."),
    "import": Lazy("memhost.cli.data.transfer:import_", "Read memories and sessions from a file."),
    "migrate": Lazy("memhost.cli.data.migrate:migrate", "Copy everything from one store into another."),
    "scan": Lazy("memhost.cli.server.scan:scan", "Find secrets that are stored already, and mask them."),
    "keys": Lazy("memhost.cli.server.keys:keys", "Show and rotate the server's key, which proves what is stored."),
    "reindex": Lazy("memhost.cli.server.reindex:reindex", "Recompute all vectors after a change of embedder."),
    "openapi": Lazy("memhost.cli.server.openapi:openapi", "Print the OpenAPI document of the REST interface."),
    "help": Lazy("memhost.cli.help:help_", "Show the help of memhost, or of a command."),
    "docs": Lazy("memhost.cli.server.docs:docs", "Read the documentation offline."),
    "version": Lazy("memhost.cli.server.version:version", "Print the version."),
}


ANNOUNCED = "memhost.commands"
"""Entry-point group by which plugins have their commands listed without being loaded: name of the command, and the
module whose docstring begins with what it does.

The hook `memhost_commands` is what gives a command; the group only saves `memhost --help` from asking the hook. Help
takes 140 ms of processor time with the docstrings read from the files. Importing the announced modules would make it
350 ms, and loading the plugins to ask their hooks, 490 ms.
"""

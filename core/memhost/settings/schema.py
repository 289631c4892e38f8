"""The host's own settings: names, types, defaults, and what they mean.

A field is set by its name in the configuration file, or by the environment variables of its `env`
list (the field's name in upper case, with or without the prefix `MEMHOST_`, always works as well).
Names and defaults follow Agent Memory Server where it has the setting.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from memhost.models.trust import Trust
from memhost.settings.addresses import check_network, check_origin
from memhost.settings.extraction import ExtractionSettings, LlmSettings
from memhost.settings.fields import Secret, setting
from memhost.settings.quotas import QuotaSettings

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the server listens, what it keeps where, and which plugins it uses."""

    host: Annotated[
        str,
        setting("Address to listen on.", bare_pattern=r"localhost|[0-9.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*"),
    ] = "127.0.0.1"
    port: Annotated[int, setting("Port to listen on; 0 picks a free one.", ge=0, le=65535)] = 8000
    workers: Annotated[int, setting("Server processes.", ge=1, le=256)] = 1
    data_dir: Annotated[str, setting("Folder for the server's files.", env=("DATA",), option="data")] = "~/.memhost"
    integrity_key: Annotated[
        Secret,
        setting(
            "Secret by which the server proves that what it reads is what it wrote, of 32 characters or more; several "
            "with spaces: the first counts, the others check what they signed. file:PATH names a file with them, made "
            "if it is missing; none proves nothing. By default memhost/integrity.key in the user's folder of "
            "configurations, and none where the store is shared between machines."
        ),
    ] = Secret()
    integrity_head_file: Annotated[
        str,
        setting(
            "File outside of the data folder in which the server publishes the ends of the audit chains, to notice an "
            "older copy of the store; none publishes nothing. By default a file below memhost/heads in the user's "
            "folder of configurations."
        ),
    ] = ""
    log_level: Annotated[LogLevel, setting("Least severe log line written.")] = "INFO"
    log_format: Annotated[Literal["text", "json"], setting("Form of log lines on stderr.")] = "text"

    strict_requests: Annotated[
        bool,
        setting(
            "Refuse unknown names in every REST request. Otherwise the operations of Agent Memory Server ignore them, "
            "as its clients expect, and name them in a notice; all others refuse them in any case."
        ),
    ] = False
    store: Annotated[str, setting("Store plugin; auto is redis where REDIS_URL is set, else sqlite.")] = "auto"
    runner: Annotated[
        str,
        setting(
            "Job runner plugin; auto is inline. With arq jobs run in workers: memhost worker.",
            env=("BACKEND", "TASK_BACKEND", "USE_DOCKET"),
            values={"asyncio": "inline", "docket": "arq", "queue": "arq", "true": "arq", "false": "inline"},
        ),
    ] = "auto"
    auth: Annotated[
        str,
        setting(
            "Authentication plugin; or several with commas (token,jwt): the form of the credential decides.",
            env=("AUTH_MODE",),
            values={"disabled": "none", "oauth2": "jwt"},
        ),
    ] = "none"
    auth_failures_per_minute: Annotated[
        int,
        setting("Attempts with wrong credentials per minute, address and process; 0 does not limit them.", ge=0),
    ] = 30
    insecure: Annotated[bool, setting("Serve without authentication on addresses that other machines can reach.")] = (
        False
    )
    embedder: Annotated[
        str,
        setting(
            "Embedding plugin, or a LiteLLM model name.",
            env=("LLM_EMBEDDING_MODEL", "EMBEDDING_MODEL"),
        ),
    ] = "static"
    reindex: Annotated[
        bool,
        setting(
            "Start although another embedder made the stored vectors: memhost replaces them while the "
            "server answers; until then searches find memories by their words."
        ),
    ] = False
    llm: Annotated[
        str,
        setting(
            "Language model; none switches off what needs one.",
            env=("LLM_MODEL", "GENERATION_MODEL"),
        ),
    ] = "none"
    reranker: Annotated[
        str,
        setting(
            "Reranking plugin, or a LiteLLM model name (cohere/rerank-v3.5); none keeps the order of the pipeline.",
            env=("RERANK_MODEL",),
        ),
    ] = "none"
    interfaces: Annotated[tuple[str, ...], setting("Interface plugins to mount; empty mounts all.")] = ()
    interface_trust: Annotated[
        dict[str, Trust],
        setting(
            "How far at most what callers write through an interface is trusted, by the interface's name (`rest`, "
            "`mcp`, a plugin's; also `command-line` and `python`): operator, user, assistant, agent, import, tool or "
            "external. It only lowers what credentials and roles give."
        ),
    ] = {}
    plugins_disabled: Annotated[tuple[str, ...], setting("Entry-point names not to load.")] = ()

    hook_timeout_s: Annotated[float, setting("Time limit of an event hook in a request, seconds.", gt=0, le=60)] = 2.0
    plugin_start_s: Annotated[
        float, setting("How long the registration hooks of a plugin may take at start, seconds.", gt=0)
    ] = 10.0
    plugin_blocked_s: Annotated[
        float,
        setting(
            "Time after which the log names a plugin that blocks the event loop, seconds; the call "
            "then counts as a failure.",
            gt=0,
        ),
    ] = 1.0
    plugin_suspend_after: Annotated[
        int, setting("Failures of a plugin's event hooks in a row that suspend it; 0 never suspends one.", ge=0)
    ] = 5
    plugin_suspend_s: Annotated[
        float, setting("How long a suspended plugin is left alone before it is tried again, seconds.", gt=0)
    ] = 60.0
    job_timeout_s: Annotated[float, setting("Time limit of a background hook, seconds.", gt=0)] = 300.0
    job_lease_s: Annotated[
        float,
        setting(
            "Lease of jobs and other exclusive work, seconds. The working process renews it; after a "
            "crash another process takes over when the lease ends.",
            ge=0.5,
        ),
    ] = 15.0
    job_max_tries: Annotated[
        int,
        setting("Failures after which a job goes to the dead letters.", ge=1, env=("TASK_MAX_TRIES",)),
    ] = 4
    job_backoff_s: Annotated[
        tuple[float, ...],
        setting(
            "Waits after failures, seconds (each varied by up to a fifth). The first and last are also "
            "the shortest and longest pause of a job that waits for a model."
        ),
    ] = (30.0, 120.0, 600.0)
    schedule_every_s: Annotated[
        dict[str, float],
        setting("Seconds between runs of schedules, by name, where plugins say otherwise; 0 switches one off."),
    ] = {}
    shutdown_grace_s: Annotated[
        float,
        setting(
            "How long running jobs may finish at shutdown, seconds.",
            ge=0,
            env=("WORKER_SHUTDOWN_GRACE_SECONDS",),
        ),
    ] = 10.0
    max_body_bytes: Annotated[int, setting("Largest request body.", ge=1024)] = 32 * 1024 * 1024
    rate_limit_per_minute: (
        Annotated[
            int,
            setting(
                "Requests a minute with one credential, and process; 0 does not limit them. The default is 6000; on a "
                "server without authentication on loopback it is 0.",
                ge=0,
            ),
        ]
        | None
    ) = None
    rate_limit_per_address: (
        Annotated[
            int,
            setting(
                "Requests a minute from one address, and process; 0 does not limit them. The default is 12000; on a "
                "server without authentication on loopback it is 0.",
                ge=0,
            ),
        ]
        | None
    ) = None
    max_concurrent_requests: Annotated[
        int, setting("Requests that a process handles at once; beyond that requests get 503. 0: no limit.", ge=0)
    ] = 512
    max_buffered_bytes: Annotated[
        int,
        setting(
            "Bytes of request bodies that a process holds at once, at most half for one address and a "
            "sixteenth for callers not yet authenticated; beyond that requests get 503. 0: no limit.",
            ge=0,
        ),
    ] = 256 * 1024 * 1024
    max_waiting_bodies: Annotated[
        int,
        setting(
            "Request bodies that may be arriving at once in a process, at most half from one address; "
            "beyond that requests get 503. 0: no limit.",
            ge=0,
        ),
    ] = 1024
    max_connections: Annotated[
        int,
        setting(
            "Connections that a process keeps, half of them from one address that is no trusted proxy; "
            "the connection that has been idle longest is closed for a new one. Never more than the "
            "process's limit of open files allows; 0: exactly that many.",
            ge=0,
        ),
    ] = 10_000
    request_timeout_s: Annotated[
        float, setting("How long a request may take until its answer begins, seconds; 0 does not limit it.", ge=0)
    ] = 330.0
    body_timeout_s: Annotated[
        float,
        setting(
            "How long the body of a request may take to arrive, and 32 KiB of an answer to be read, seconds; 0 does "
            "not limit it.",
            ge=0,
        ),
    ] = 60.0
    header_timeout_s: Annotated[
        float, setting("How long the head of a request may take to arrive, seconds; 0 does not limit it.", ge=0)
    ] = 20.0
    keep_alive_s: Annotated[
        int,
        setting(
            "How long an idle connection stays open, seconds. Should be longer than clients (5 to 15) "
            "and load balancers (60) keep theirs; otherwise they may send on a connection that is just "
            "closing.",
            ge=1,
        ),
    ] = 75
    cors_allowed_origins: Annotated[
        tuple[str, ...], setting("Origins whose pages in browsers may call the server; empty allows none.")
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        setting(
            "Names by which clients reach the server, beside localhost and IP addresses; without authentication "
            "requests to other names are refused.",
            env=("MCP_ALLOWED_HOSTS",),
        ),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        setting(
            "Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto headers are "
            "trusted; 127.0.0.1 trusts a proxy on this machine, and every other program there.",
            env=("FORWARDED_ALLOW_IPS",),
        ),
    ] = ()
    tls_cert: Annotated[str, setting("File with the server's certificate chain (PEM): serves HTTPS.")] = ""
    tls_key: Annotated[str, setting("File with the key of the certificate (PEM), if it is not in the same file.")] = ""

    def __post_init__(self) -> None:
        """Refuse addresses that would be taken for none without a word.

        Raises:
            ValueError: One of them is no address, with what to write.
        """
        for proxy in self.trusted_proxies:
            check_network(proxy)
        for origin in self.cors_allowed_origins:
            check_origin(origin)


class MemorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Behaviour of memory."""

    long_term_memory: Annotated[
        bool, setting("Enable long-term memory. If false, long-term operations answer 400 and nothing is extracted.")
    ] = True
    default_strategy: Annotated[
        str,
        setting(
            "Strategy of sessions that name none; auto is verbatim without a language model, else discrete.",
            env=("DEFAULT_EXTRACTION_STRATEGY",),
        ),
    ] = "auto"
    secrets: Annotated[
        Literal["mask", "refuse", "keep"],
        setting(
            "What becomes of secrets (passwords, keys, tokens, card numbers) in what is written: masked before "
            "anything is stored, indexed or sent to a model; refused; or kept as they are (docs/security.md).",
            env=("SECRET_POLICY",),
            values={"drop": "refuse"},
            bare_pattern="(?i)mask|refuse|keep|drop",
        ),
    ] = "mask"
    secrets_also: Annotated[
        tuple[Literal["iban", "national_id"], ...],
        setting(
            "Further kinds of secrets: iban (bank accounts), national_id (ids of persons of some countries); those "
            "with a right check digit count."
        ),
    ] = ()
    index_all_messages: Annotated[
        bool,
        setting(
            "Each turn becomes a searchable memory.",
            env=("INDEX_ALL_MESSAGES_IN_LONG_TERM_MEMORY",),
        ),
    ] = True
    context_min_trust: Annotated[
        Trust,
        setting(
            "Memories that are trusted less than this stand in contexts and memory prompts between marks, as not "
            "verified, with where they come from."
        ),
    ] = "user"
    view_min_trust: Annotated[
        Trust, setting("Memories that are trusted less than this are in no summary view that does not ask for them.")
    ] = "agent"
    require_message_timestamps: Annotated[bool, setting("Messages without created_at are refused.")] = False
    max_future_timestamp_s: Annotated[
        int,
        setting(
            "How far ahead a message's created_at may be, seconds.",
            ge=0,
            env=("MAX_FUTURE_TIMESTAMP_SECONDS",),
        ),
    ] = 300
    summarize: Annotated[
        bool,
        setting(
            "Summarise long sessions (needs a language model).",
            env=("ENABLE_WORKING_MEMORY_SUMMARIZATION",),
        ),
    ] = True
    summarization_threshold: Annotated[
        float, setting("Share of the window at which summarising starts.", gt=0, le=1)
    ] = 0.7
    summarization_wait_seconds: Annotated[
        float,
        setting("How long a session's write waits for its summary, seconds; later it is made in the background.", ge=0),
    ] = 15.0
    session_idle_s: Annotated[float, setting("Quiet time after which a session counts as idle, seconds.", gt=0)] = 300.0
    access_interval_s: Annotated[
        float, setting("A found memory's access is recorded at most this often, seconds.", ge=0)
    ] = 900.0
    summary_view_refresh_every_minutes: Annotated[
        float, setting("Minutes between refreshes of continuous summary views; 0 switches them off.", ge=0)
    ] = 60.0
    answer_bytes: Annotated[
        int,
        setting(
            "Bytes of memories in one answer of a search; a larger page ends earlier and names the "
            "next offset. 0: no limit.",
            ge=0,
        ),
    ] = 4 * 1024 * 1024
    session_answer_bytes: Annotated[
        int,
        setting(
            "Bytes of messages in one answer that reads a session: the newest that fit, and how many "
            "older ones there are. The default exceeds the largest request body, so that clients that write whole "
            "sessions back receive them whole. 0 does not limit them.",
            ge=0,
        ),
    ] = 64 * 1024 * 1024
    max_summary_views: Annotated[
        int,
        setting(
            "Summary views that a tenant may have; a caller bound to a part of the tenant may have a "
            "tenth. 0: no limit.",
            ge=0,
        ),
    ] = 1000
    compaction_every_minutes: Annotated[
        float, setting("Minutes between merges of memories that repeat each other; 0 switches them off.", ge=0)
    ] = 10.0
    forgetting_enabled: Annotated[bool, setting("Memories are forgotten periodically, by the limits below.")] = False
    forgetting_every_minutes: Annotated[float, setting("Minutes between runs of forgetting.", gt=0)] = 60.0
    forgetting_max_age_days: (
        Annotated[
            float, setting("Forget memories that were said longer ago, days; see forgetting_max_inactive_days.", ge=0)
        ]
        | None
    ) = None
    forgetting_max_inactive_days: (
        Annotated[
            float,
            setting(
                "Forget memories not accessed for longer, days. With both limits a memory must exceed both, or the "
                "age limit twelve times.",
                ge=0,
            ),
        ]
        | None
    ) = None
    forgetting_trash_days: Annotated[
        float,
        setting("How long forgotten and merged memories can be brought back, days; 0 deletes them at once.", ge=0),
    ] = 7.0
    versions_keep: (
        Annotated[int, setting("Former versions kept of each memory; 0 keeps none, none keeps all.", ge=0)] | None
    ) = 20
    versions_keep_days: (
        Annotated[float, setting("How long former versions are kept, days; none keeps them for ever.", ge=0)] | None
    ) = 30.0
    review_kinds: Annotated[
        tuple[Literal["rights", "identity", "payments", "addresses", "tools", "instruction"], ...],
        setting(
            "Kinds of statements that wait for a review if they are trusted less than the user; empty: none. Who may "
            "do what, who somebody is, accounts and payments, where things are sent, tools to call, and what the "
            "assistant is to do."
        ),
    ] = ("rights", "identity", "payments", "addresses", "tools", "instruction")
    review_expire_days: Annotated[
        float,
        setting("How long a memory waits for a review, days; after that it counts as refused. 0: without limit.", ge=0),
    ] = 30.0
    review_limit: Annotated[
        int,
        setting(
            "How many memories of one owner (namespace and user) may wait for a review; what is beyond that is not "
            "kept, and whoever stores it is told. 0: without limit.",
            ge=0,
        ),
    ] = 1000
    deduplication_distance_threshold: Annotated[
        float,
        setting(
            "Cosine distance up to which memories that mean the same as a third one become one with it, though nobody "
            "compared them with each other.",
            ge=0,
            le=2,
        ),
    ] = 0.35
    dedup_auto_distance: Annotated[
        float,
        setting(
            "Has no effect: memhost never merges memories only because they are near. Accepted for compatibility.",
            ge=0,
            le=2,
        ),
    ] = 0.05
    compact_semantic_duplicates: Annotated[
        bool,
        setting(
            "A language model judges near memories, on write and by compaction: they are merged if they mean the same. "
            "Without a model, or with false, only repetitions of one text are merged (docs/strategies.md)."
        ),
    ] = True
    compaction_max_llm_calls: Annotated[int, setting("Most calls to a language model in one compaction.", ge=0)] = 50
    superseded_keep_days: (
        Annotated[
            float,
            setting(
                "How long facts are kept as history after newer ones replaced them, days; by default as long as other "
                "memories.",
                ge=0,
            ),
        ]
        | None
    ) = None
    forgetting_budget_keep_top_n: (
        Annotated[
            int, setting("Of the remaining memories keep this many of the most recent per namespace and user.", ge=0)
        ]
        | None
    ) = None


class SearchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Finding and ranking of memories. The weights of the stages are in `weights`."""

    candidates: Annotated[int, setting("Candidates taken from each leg.", ge=10, le=5000)] = 100
    neighbours: Annotated[
        int, setting("Neighbouring turns on each side that the ranking considers with a turn.", ge=0, le=10)
    ] = 2
    rerank_pool: Annotated[
        int, setting("Best matches of the pipeline that the reranker puts in order.", ge=1, le=1000)
    ] = 100
    rerank_timeout_s: Annotated[
        float,
        setting(
            "Time limit of the reranker in a search, seconds; after it the order of the pipeline stays.", gt=0, le=60
        ),
    ] = 3.0
    weights: Annotated[
        dict[str, float],
        setting("Weights that differ from the defaults of memhost.ranking.RankingWeights."),
    ] = {}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings of the host; plugins have sections of their own."""

    server: ServerSettings = ServerSettings()
    memory: MemorySettings = MemorySettings()
    search: SearchSettings = SearchSettings()
    extraction: ExtractionSettings = ExtractionSettings()
    llm: LlmSettings = LlmSettings()
    quotas: QuotaSettings = QuotaSettings()

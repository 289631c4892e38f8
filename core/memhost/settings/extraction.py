"""Settings of language models and of their uses.

Names and defaults follow Agent Memory Server where it has the setting.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from memhost.settings.fields import setting


class NamespaceExtraction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Extraction options of one namespace, where they differ from the server's."""

    strategy: str | None = None
    config: dict[str, Any] = {}


class LlmSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which model does what, and how much of it. Unset models are `fast_model`, and that is `server.llm`."""

    fast_model: Annotated[str, setting("Model for every purpose that has no model of its own.")] = ""
    extraction_model: Annotated[str, setting("Model that extracts memories from conversations.")] = ""
    summary_model: Annotated[str, setting("Model that summarises sessions and views.")] = ""
    dedup_model: Annotated[str, setting("Model that judges whether memories mean the same.")] = ""
    query_optimization_model: Annotated[str, setting("Model that rewrites search queries.")] = ""
    progressive_summarization_prompt: Annotated[
        str,
        setting(
            "Prompt for summaries of sessions, with {prev_summary} and {messages_joined} where these belong; empty "
            "uses the server's own."
        ),
    ] = ""
    query_optimization_prompt_template: Annotated[
        str,
        setting("Prompt that rewrites search queries, with {query} where it belongs; empty uses the server's own."),
    ] = ""
    min_optimized_query_length: Annotated[
        int, setting("Rewritten queries with fewer characters are not used.", ge=1)
    ] = 2
    model_window_overrides: Annotated[
        dict[str, int], setting("Context windows in tokens of models whose window is not known.")
    ] = {}
    llm_daily_token_limit: Annotated[
        int, setting("Tokens (sent and answered) a day and namespace; then extraction waits. 0: no limit.", ge=0)
    ] = 0
    llm_daily_cost_limit_usd: Annotated[
        float, setting("US dollars a day over everything; then extraction waits. 0: no limit.", ge=0)
    ] = 0.0
    llm_namespace_token_limits: Annotated[
        dict[str, int], setting("Tokens a day by namespace, where they differ from llm_daily_token_limit.")
    ] = {}


class ExtractionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When and how conversations become memories (needs a language model)."""

    extraction_enabled: Annotated[
        bool,
        setting("Extract memories with a language model.", env=("ENABLE_DISCRETE_MEMORY_EXTRACTION",)),
    ] = True
    extraction_debounce_seconds: Annotated[
        float, setting("Quiet time of a session before its new messages are extracted, seconds.", ge=0)
    ] = 30.0
    extraction_max_wait_seconds: Annotated[
        float, setting("Longest time that a new message waits for extraction, seconds.", ge=0)
    ] = 300.0
    extraction_threshold_messages: Annotated[
        int, setting("Waiting messages at which extraction starts at once; 0: never for their number.", ge=0)
    ] = 20
    extraction_threshold_tokens: Annotated[
        int, setting("Waiting tokens at which extraction starts at once; 0: never for their size.", ge=0)
    ] = 4000
    extraction_max_tokens: Annotated[
        int, setting("Most tokens of messages in one call; more are cut at message borders into several.", ge=200)
    ] = 8000
    extraction_min_confidence: Annotated[
        float, setting("Extracted items that the model is less sure of are dropped.", ge=0, le=1)
    ] = 0.3
    extracted_turns: Annotated[
        Literal["keep", "archive", "prune"],
        setting(
            "What becomes of the memories of raw turns once they are extracted: kept, archived (out of search, "
            "readable and exported) or pruned."
        ),
    ] = "keep"
    strategy_config: Annotated[
        dict[str, Any], setting("Options of the strategy for sessions that give none; see `memhost strategies`.")
    ] = {}
    extraction_by_namespace: Annotated[
        dict[str, NamespaceExtraction], setting("Strategy and options by namespace, for sessions that name none.")
    ] = {}
    default_timezone: Annotated[
        str, setting("IANA zone in which relative times are meant where neither message, session nor search names one.")
    ] = "UTC"
    grounding_strict: Annotated[
        bool, setting("Drop extracted texts with unresolved references, instead of marking them.")
    ] = False
    unsupported_items: Annotated[
        Literal["keep", "drop"],
        setting(
            "What becomes of extracted texts with names, numbers or dates that occur in nothing that was said: kept "
            "with the lowest trust and out of contexts and memory prompts, or dropped."
        ),
    ] = "keep"
    enable_topic_extraction: Annotated[
        bool, setting("Find topics for memories that clients store without any (needs a language model).")
    ] = True
    top_k_topics: Annotated[int, setting("Most topics of a memory.", ge=0, le=20)] = 3
    enable_ner: Annotated[
        bool, setting("Find entities for memories that clients store without any (needs a language model).")
    ] = True
    topic_model_source: Annotated[
        Literal["llm", "off"],
        setting("What finds topics: the language model, or nothing; models inside the server are not offered."),
    ] = "llm"
    ner_model_source: Annotated[
        Literal["llm", "off"],
        setting("What finds entities: the language model, or nothing; models inside the server are not offered."),
    ] = "llm"
    custom_prompts: Annotated[
        Literal["on", "approved", "off"],
        setting("Custom prompts: all that pass the check, only those in approved_prompts, or none."),
    ] = "on"
    approved_prompts: Annotated[tuple[str, ...], setting("SHA-256 (hex) of custom prompts that may be used.")] = ()
    extraction_runs_keep_days: Annotated[
        float,
        setting(
            "How long the record of an extraction run is kept (questions, answers, what was stored and dropped), days; "
            "secrets in it are masked. 0 keeps none.",
            ge=0,
        ),
    ] = 7.0

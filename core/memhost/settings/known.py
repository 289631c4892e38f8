"""Environment variables that others know, and what we make of them."""

from __future__ import annotations

PROVIDER_VARIABLES = frozenset(
    {
        "OPENAI_API_KEY",
        "OPENAI_API_BASE",
        "OPENAI_BASE_URL",
        "OPENAI_ORGANIZATION",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_API_BASE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_REGION_NAME",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
        "AZURE_API_KEY",
        "AZURE_API_BASE",
        "AZURE_API_VERSION",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "VERTEXAI_PROJECT",
        "VERTEXAI_LOCATION",
        "OLLAMA_API_BASE",
        "HUGGINGFACE_API_KEY",
        "HF_TOKEN",
        "COHERE_API_KEY",
        "MISTRAL_API_KEY",
        "GROQ_API_KEY",
        "OPENROUTER_API_KEY",
        "DEEPSEEK_API_KEY",
        "XAI_API_KEY",
        "TOGETHERAI_API_KEY",
        "VOYAGE_API_KEY",
        "JINA_AI_API_KEY",
    }
)
"""Environment variables that model libraries read from the process environment by themselves."""

CONFIG_FILE_VARIABLES = (
    "MEMHOST_CONFIG",
    "MEMHOST_CONFIG_FILE",
    "CONFIG_FILE",
    "REDIS_MEMORY_CONFIG",
)
"""Variables that name the configuration file, the first one given counts."""

OWN_OTHERS = frozenset({"MEMHOST_DEBUG", "MEMHOST_URL", "MEMHOST_TOKEN", "MEMHOST_EVAL_DATA", "MEMHOST_BENCH_LOAD"})
"""Variables of the command line and of measurements that are no settings."""

AUTH_VARIABLES = ("DISABLE_AUTH", "TOKEN_AUTH_ENABLED")
"""Older ways of Agent Memory Server to choose how callers are authenticated; see `legacy_auth`."""

SILENT = frozenset(
    {
        "SLOW_MODEL",
        "AUTH0_CLIENT_ID",
        "AUTH0_CLIENT_SECRET",
        "REDISVL_INDEXING_ALGORITHM",
        "WORKING_MEMORY_INDEX_NAME",
        "WORKING_MEMORY_INDEX_PREFIX",
        "WORKING_MEMORY_MIGRATION_COMPLETE",
        "LLM_TASK_TIMEOUT_MINUTES",
    }
)
"""Names of Agent Memory Server that have no counterpart here and need none."""

NOT_USED = frozenset(
    {
        "REDIS_URL",
        "MCP_PORT",
        "MCP_HOST",
        "MEMORY_VECTOR_DB_FACTORY",
        "REDISVL_INDEX_NAME",
        "REDISVL_INDEX_PREFIX",
        "REDISVL_DISTANCE_METRIC",
        "TOPIC_MODEL",
        "NER_MODEL",
        "DEFAULT_MCP_USER_ID",
        "DEFAULT_MCP_NAMESPACE",
        "OAUTH2_ISSUER_URL",
        "OAUTH2_AUDIENCE",
        "OAUTH2_JWKS_URL",
        "OAUTH2_ALGORITHMS",
    }
)
"""Names of Agent Memory Server whose effect an operator would miss; a plugin may declare them."""

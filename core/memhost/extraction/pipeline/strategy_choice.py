"""Which extraction strategy a session uses, and with which options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from memhost.errors import Problem
from memhost.extraction import PromptPolicy, prompt_hash, prompts_in, validate_config
from memhost.models import SessionKey, StrategyConfig
from memhost.operations.ams_compat import KNOWN_STRATEGIES, UNASKED, names_no_strategy
from memhost.ports import LaterStrategy, Strategy
from memhost.settings import ExtractionSettings
from memhost.specs import StrategySpec

VERBATIM = "verbatim"
"""Strategy that keeps each turn as it is: evidence from which everything else can be derived again."""


class StrategyChoice:
    """The installed strategies, and the defaults of server and namespaces.

    A session that names no strategy, or names `discrete` without options as clients do unasked, uses its
    namespace's, else the server's. Options of the session are added to those of the strategy's default.

    Args:
        strategies: Installed strategies by name; those that need a model only if one is configured.
        default: Strategy of sessions that name none; `auto` is `discrete` if it is installed, else `verbatim`.
        settings: Options of the default, and what namespaces use.
        specs: What plugins say of their strategies, also of those that need a model where there is none.
        prompts: Which custom prompts may be used.
    """

    def __init__(
        self,
        *,
        strategies: Mapping[str, Strategy | LaterStrategy],
        default: str,
        settings: ExtractionSettings,
        specs: Mapping[str, StrategySpec],
        prompts: PromptPolicy,
    ) -> None:
        self._strategies = strategies
        self._settings = settings
        self._specs = specs
        self._prompts = prompts
        self._automatic = default == "auto"
        self._default = default
        if self._automatic:
            self._default = UNASKED if UNASKED in strategies else VERBATIM

    def problems(self, key: SessionKey, wanted: StrategyConfig) -> list[Problem]:
        """Return the problems of the strategy that a session asks for, and of its options.

        An unknown name has kind `enum`, a prompt that must not be used `unsafe_prompt`; any other kind means that
        extraction will fail, while the session itself can be kept.
        """
        known = {*KNOWN_STRATEGIES, *self._specs}
        if wanted.strategy not in known:
            names = ", ".join(f"'{name}'" for name in sorted(known))
            where = ("long_term_memory_strategy", "strategy")
            return [Problem(where=where, kind="enum", message=f"Input should be {names}", value=wanted.strategy)]
        spec = self._specs.get(wanted.strategy)
        if spec is None:
            return []
        config = self.effective(key, wanted).config
        return [
            msgspec.structs.replace(problem, where=("long_term_memory_strategy", "config", *problem.where))
            for problem in validate_config(spec, config, self._prompts)
        ]

    def effective(self, key: SessionKey, wanted: StrategyConfig) -> StrategyConfig:
        """The strategy and options that count for this session."""
        default = StrategyConfig(strategy=self._default, config=dict(self._settings.strategy_config))
        local = self._settings.extraction_by_namespace.get(key.namespace)
        if local is not None:
            name = local.strategy or default.strategy
            base = default.config if name == default.strategy else {}
            default = StrategyConfig(strategy=name, config={**base, **local.config})
        if names_no_strategy(wanted):
            return default
        base = default.config if wanted.strategy == default.strategy else {}
        return StrategyConfig(strategy=wanted.strategy, config={**base, **wanted.config})

    def immediate(self, name: str) -> Strategy | None:
        """The strategy of that name, if it runs inside the write."""
        found: Any = self._strategies.get(name)
        return found if found is not None and found.immediate else None

    def in_background(self, name: str) -> bool:
        """Tell whether there is a strategy of that name that reads turns in the background."""
        found: Any = self._strategies.get(name)
        return found is not None and not found.immediate

    def sums_up(self, key: SessionKey, wanted: StrategyConfig) -> bool:
        """Tell whether the session's strategy keeps one memory that sums up the session."""
        spec = self._specs.get(self.effective(key, wanted).strategy)
        return spec is not None and spec.digests

    def prompt_hashes(self, name: str, config: Mapping[str, Any]) -> list[str]:
        """SHA-256 (hex) of the prompts among a strategy's options, which its memories keep."""
        spec = self._specs.get(name)
        return [prompt_hash(prompt) for prompt in prompts_in(spec, config).values()] if spec is not None else []

    def with_model(self, key: SessionKey, wanted: StrategyConfig) -> tuple[LaterStrategy, dict[str, Any]] | None:
        """The session's strategy with its options, if it works in the background and extraction is on; else None."""
        if not self._settings.extraction_enabled:
            return None
        chosen = self.effective(key, wanted)
        found: Any = self._strategies.get(chosen.strategy)
        return (found, chosen.config) if found is not None and not found.immediate else None

    def lacks_model(self, key: SessionKey, wanted: StrategyConfig) -> bool:
        """Tell whether the session's turns would be given to a language model if one were configured."""
        name = self._meant(key, wanted)
        spec = self._specs.get(name)
        available = name in self._strategies or not self._settings.extraction_enabled
        return spec is not None and spec.needs_model and not available

    def why_without_model(self, key: SessionKey, wanted: StrategyConfig) -> str:
        """The sentence that says why `with_model` gives nothing for this session, and what to change."""
        if not self._settings.extraction_enabled:
            return "Extraction is switched off: set EXTRACTION_ENABLED=true."
        name = self._meant(key, wanted)
        if name not in self._specs:
            return f"There is no strategy '{name}'. Installed: {', '.join(sorted(self._specs)) or 'none'}."
        if self.lacks_model(key, wanted):
            return f"The strategy '{name}' needs a language model, and none is configured: set LLM_MODEL."
        with_model = ", ".join(sorted(each for each, spec in self._specs.items() if spec.needs_model))
        return (
            f"The strategy '{name}' extracts when messages are stored, without a language model. "
            f"Name one that uses a model: {with_model or 'none is installed'}."
        )

    def _meant(self, key: SessionKey, wanted: StrategyConfig) -> str:
        """Name of the session's strategy, without regard to whether there is a model for it."""
        local = self._settings.extraction_by_namespace.get(key.namespace)
        chosen_by_itself = self._automatic and wanted.strategy == UNASKED and not (local is not None and local.strategy)
        return UNASKED if chosen_by_itself else self.effective(key, wanted).strategy

from collections.abc import Sequence
from typing import Annotated

import msgspec

from memhost import hookimpl
from memhost.events import RequestContext, SearchRequest
from memhost.settings import setting
from memhost.specs import SettingsSpec


class AcmeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[plugins.acme] in memhost.toml; ACME_MOST in the environment."""

    most: Annotated[int, setting("Most hits of a search.", ge=1)] = 10


@hookimpl
def memhost_settings() -> Sequence[SettingsSpec]:
    return [SettingsSpec(name="acme", settings=AcmeSettings)]


@hookimpl
async def memhost_before_search(search: SearchRequest, context: RequestContext) -> SearchRequest:
    search.limit = min(search.limit, context.plugin_settings.most)
    return search

from memhost import hookimpl
from memhost.events import RequestContext, SearchRequest


@hookimpl
async def memhost_before_search(search: SearchRequest, context: RequestContext) -> SearchRequest:
    search.text = search.text.replace("automobile", "car")
    return search

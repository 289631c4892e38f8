"""The tools for summary views and background tasks."""

from typing import Annotated

import msgspec
from msgspec import Meta

from memhost.errors import NotFound
from memhost.operations.responses import SummaryViewPartitionResult
from memhost.text.recalled.fence import NOT_OBEYED, fenced, quoted
from memhost_mcp.tool_context import ToolContext
from memhost_mcp.tools.tool import ToolRow


class GetSummary(msgspec.Struct, kw_only=True):
    """Which summary of a view."""

    view: Annotated[str, Meta(description="Id of the summary view.")]
    group: Annotated[dict[str, str], Meta(description="A value for each field that the view groups by.")] = {}
    refresh: Annotated[bool, Meta(description="Compute the summary now.")] = False


async def get_summary(context: ToolContext, request: GetSummary) -> SummaryViewPartitionResult:
    """The summary of one group of a view, its text between marks.

    Raises:
        NotFound: There is no such view, or no summary of that group was computed yet.
    """
    if request.refresh:
        computed: SummaryViewPartitionResult = await context.ask(
            "run_summary_view_partition", {"view_id": request.view, "group": request.group}
        )
        return _quoted(computed)
    stored: list[SummaryViewPartitionResult] = await context.ask(
        "list_summary_view_partitions", {"view_id": request.view}
    )
    for partition in stored:
        if partition.group == request.group:
            return _quoted(partition)
    raise NotFound(f"View {request.view} has no summary of that group yet; ask with refresh=true.")


def _quoted(found: SummaryViewPartitionResult) -> SummaryViewPartitionResult:
    about = f"Summary of memories, trusted as {found.trust or 'agent'}. {NOT_OBEYED}"
    text = "\n".join(fenced(about, quoted(found.summary))) if found.summary else ""
    return msgspec.structs.replace(found, summary=text)


ROWS = (
    ToolRow(
        operation="list_summary_view_partitions",
        name="get_summary",
        description="Read the summary of one group of a summary view.",
        arguments=GetSummary,
        run=get_summary,
        result=SummaryViewPartitionResult,
    ),
    ToolRow(operation="get_task", description="Read the state of a background task.", scoping="none"),
)

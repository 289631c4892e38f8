"""The operation that reports what models were used for, and what it cost."""

from __future__ import annotations

from memhost.operations.table import Operation, forward
from memhost.operations.usage import GetUsage, UsageReport
from memhost.usage.reports import UsageReports

OPERATIONS = (
    Operation(
        name="get_usage",
        request=GetUsage,
        response=UsageReport,
        handler=forward(UsageReports, UsageReports.report),
        access="read",
        tag="Administration",
        summary="Show calls of language models and embedding providers by purpose, and their cost.",
        description=(
            "Each request to a provider is metered by day (UTC), namespace, user, purpose and model, and kept for "
            "400 days. Purposes are `extraction`, `repair`, `summary`, `view`, `dedup`, `enrichment`, `query`, "
            "`embedding` and the purposes of plugins. Rows are sorted by group. The answer covers the caller's "
            "bounds; `budgets` are those of today: of the namespaces in bounds, for callers who are not bound to "
            "users, and the server's own for operators who are bound to nothing. "
            "`quotas` say how much is stored, and how much may be; `reviews` how many memories wait for a review."
        ),
        errors=("invalid_request", "forbidden"),
    ),
)

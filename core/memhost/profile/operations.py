"""The operation that shows the profile of a user."""

from __future__ import annotations

from memhost.operations.table import Operation, forward
from memhost.operations.users import GetProfile, Profile
from memhost.profile.service import ProfileService

OPERATIONS = (
    Operation(
        name="get_profile",
        request=GetProfile,
        response=Profile,
        handler=forward(ProfileService, ProfileService.get),
        access="read",
        tag="Long-term memory",
        summary="Read what is known of a user: one current statement of each facet, and standing rules.",
        description=(
            "A facet is what statements of one `subject` are about: what holds, how many turns say so, and what held "
            "before. `rules` are instructions that the user gave."
        ),
        errors=("invalid_arguments", "long_term_memory_disabled"),
    ),
)

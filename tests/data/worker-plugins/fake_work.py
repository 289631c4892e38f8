"""A plugin whose jobs take as long as the memory says, and record where they started."""

import asyncio
import os
from pathlib import Path

from memhost import event_options, hookimpl
from memhost.models import SessionKey
from memhost.ports import Draft

FOLDER = Path(os.environ["FAKE_WORK_FOLDER"])


@hookimpl
@event_options(max_tries=3)
async def memhost_memories_stored(event, context):
    for record in await context.get_memories(event.ids):
        verb, argument = record.text.split()[:2]
        if verb not in ("work", "hold", "poison"):
            continue
        with (FOLDER / "started").open("a") as file:
            file.write(f"{record.id} {os.getpid()}\n")
        if verb == "poison":
            raise ValueError("poisoned on purpose")
        if verb == "work":
            await asyncio.sleep(float(argument))
        while verb == "hold" and not (FOLDER / f"release-{record.id}").exists():
            await asyncio.sleep(0.01)
        owner = SessionKey(context.scope.tenant, record.namespace or "", record.user_id or "", record.session_id or "")
        draft = Draft(id="", text=f"done {record.id}", source_ids=[record.id], topics=["done"])
        await context.store_memories(owner, [draft])

from pathlib import Path
from urllib.parse import quote

import msgspec

from memhost import hookimpl
from memhost.events import HeadSigned, JobContext

FOLDER = Path("/mnt/write-once/heads")


@hookimpl
async def memhost_head_signed(event: HeadSigned, context: JobContext) -> None:
    folder = FOLDER / quote(event.tenant, safe="")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{event.seq}.json").write_bytes(msgspec.json.encode(event))

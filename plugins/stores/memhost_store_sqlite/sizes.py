"""The number of bytes stored inside a scope. Lengths of values are read without the values."""

from __future__ import annotations

import apsw

from memhost.models import Scope
from memhost_store_sqlite.history import ROOM
from memhost_store_sqlite.memories import RID_BITS
from memhost_store_sqlite.scopes import is_text_among, resolve


def stored_bytes(connection: apsw.Connection, scope: Scope) -> int:
    """Bytes of the memories and sessions inside the scope; of a whole tenant those of documents and versions too."""
    total = 0
    if (reach := resolve(connection, scope)) is not None:
        where, bindings = reach.where()
        # The key of a content: see `schema`.
        total += connection.execute(
            "SELECT total(length(c.body) + length(c.words)) FROM memories m "  # noqa: S608
            f"JOIN contents c ON c.vid = (m.owner << {RID_BITS}) | m.rid WHERE {where}",
            bindings,
        ).get
    parts, values = ["tenant = ?"], [scope.tenant]
    for column, names in (("namespace", scope.namespaces), ("user", scope.users)):
        if names is not None:
            among, more = is_text_among(column, names)
            parts.append(among)
            values += [str(each) for each in more]
    tables = ["sessions"] if len(parts) > 1 else ["sessions", "documents"]
    for table in tables:
        sql = f"SELECT total(length(body)) FROM {table} WHERE {' AND '.join(parts)}"  # noqa: S608
        total += connection.execute(sql, values).get
    if len(parts) == 1:
        total += connection.execute(
            "SELECT total(ifnull(length(h.entry), 0) + ifnull(length(h.former), 0)) FROM chains c "  # noqa: S608
            f"JOIN changes h ON h.cid BETWEEN (c.number << {ROOM}) AND ((c.number << {ROOM}) | ?) WHERE c.tenant = ?",
            ((1 << ROOM) - 1, scope.tenant),
        ).get
    return int(total)

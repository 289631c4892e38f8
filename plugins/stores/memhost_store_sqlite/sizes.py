"""The number of bytes stored inside a scope. Lengths of values are read without the values."""

from __future__ import annotations

import apsw

from memhost.models import Scope
from memhost_store_sqlite.scopes import is_text_among, resolve


def stored_bytes(connection: apsw.Connection, scope: Scope) -> int:
    """Bytes of the memories and sessions inside the scope; of a whole tenant those of its documents too."""
    total = 0
    if (reach := resolve(connection, scope)) is not None:
        where, bindings = reach.where()
        # The key of a content: see `schema`.
        total += connection.execute(
            "SELECT total(length(c.body) + length(c.words)) FROM memories m "  # noqa: S608
            f"JOIN contents c ON c.vid = (m.owner << 36) | m.rid WHERE {where}",
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
    return int(total)

"""The front page, the schema and its pages: `/`, `/openapi.json`, `/docs`, `/redoc`, without credential or internet.

The pages hold a plain list of all operations, rendered here; where the browser can load Swagger UI
or Redoc from their public addresses, that takes the list's place. Litestar's own pages
(`SwaggerRenderPlugin`, `RedocRenderPlugin`) stay empty without the internet, and its `OpenAPIConfig`
describes Litestar's routes, which those under `/v1` are not (see `handlers.RestApp`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from memhost_rest.asgi_io import encode, request_id_of

_SWAGGER = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.18.2"
_REDOC = "https://cdn.jsdelivr.net/npm/redoc@2.1.5/bundles/redoc.standalone.js"
_SWAGGER_SCRIPT = f"""
const style = document.createElement("link");
style.rel = "stylesheet"; style.href = "{_SWAGGER}/swagger-ui.css"; document.head.append(style);
show(
  "{_SWAGGER}/swagger-ui-bundle.js",
  (schema, node) => SwaggerUIBundle({{url: schema, domNode: node}}),
);
"""
_REDOC_SCRIPT = f"""show("{_REDOC}", (schema, node) => Redoc.init(schema, {{}}, node));"""
_LOADER = r"""
function show(source, start) {
  const script = document.createElement("script");
  script.src = source;
  script.onload = () => {
    document.querySelector("main").hidden = true;
    const schema = location.pathname.replace(/\/(docs|redoc)\/?$/, "/openapi.json");
    start(schema, document.querySelector("#viewer"));
  };
  document.head.append(script);
}
"""
_FRONT = (
    ("docs", "all operations of the REST interface"),
    ("redoc", "the same, in another form"),
    ("openapi.json", "the same, for machines"),
    ("v1/health", "whether the server runs"),
    ("v1/ready", "whether it can serve, part by part"),
)
_STYLE = """
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1d2430; background: #fff; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; }
h2 { border-bottom: 1px solid #d5dbe5; margin-top: 2.5rem; }
article { margin: 1.5rem 0; }
h3 { font: 600 1rem ui-monospace, monospace; margin: 0; overflow-wrap: anywhere; }
h3 b { display: inline-block; min-width: 4.5rem; color: #1456a0; }
table { border-collapse: collapse; margin: .5rem 0; }
td, th { text-align: left; padding: .1rem .8rem .1rem 0; vertical-align: top; }
pre { background: #f3f5f9; padding: .8rem; overflow-x: auto; font-size: .85rem; }
"""


class Documents:
    """Serves the document that `build` makes; it is made once, when it is first asked for."""

    def __init__(self, build: Callable[[], dict[str, Any]]) -> None:
        self._build = build
        self._pages: dict[str, tuple[bytes, str]] = {}

    def handlers(self) -> list[HTTPRouteHandler]:
        """Litestar handlers of the pages."""
        return [self._handler(path) for path in ("/", "/openapi.json", "/docs", "/redoc")]

    def _handler(self, path: str) -> HTTPRouteHandler:
        @get(path, sync_to_thread=False)
        def page() -> Response[bytes]:
            content, media_type = self._page(path)
            return Response(content, media_type=media_type, headers={"x-request-id": request_id_of(None)})

        return page

    def _page(self, path: str) -> tuple[bytes, str]:
        if not self._pages:
            document = self._build()
            self._pages["/openapi.json"] = (encode(document), "application/json")
            for page, script in (("/docs", _SWAGGER_SCRIPT), ("/redoc", _REDOC_SCRIPT)):
                self._pages[page] = (render(document, script).encode(), "text/html")
            self._pages["/"] = (front(document).encode(), "text/html")
        return self._pages[path]


def front(document: Mapping[str, Any]) -> str:
    """The page at the root: what runs here, and where to go."""
    info = document["info"]
    links = "".join(f'<li><a href="{path}">{path}</a>: {escape(text)}</li>' for path, text in _FRONT)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>A memory server for AI agents is running here.</p><ul>{links}</ul>"
        "<p>On this machine <code>memhost docs</code> shows the documentation, <code>memhost help</code> the "
        "commands.</p>"
        "</main></body></html>"
    )


def render(document: Mapping[str, Any], script: str) -> str:
    """The document as a page that can be read without scripts."""
    by_tag: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            by_tag[operation["tags"][0]].append(_operation(verb.upper(), path, operation))
    groups = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in by_tag.items())
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    info = document["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>"
        f'<div id="viewer"></div><main><h1>{escape(info["title"])} {escape(info["version"])}</h1>'
        f"<p>{escape(info['description'])}</p>"
        '<p>For machines: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
        f"{groups}<h2>Schemas</h2>{schemas}</main><script>{_LOADER}{script}</script></body></html>"
    )


def _operation(verb: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<article id="{escape(operation["operationId"])}"><h3><b>{verb}</b> {escape(path)}</h3>',
        f"<p>{escape(operation['summary'])}</p>",
    ]
    if "description" in operation:
        parts.append(f"<p>{escape(operation['description'])}</p>")
    if "parameters" in operation:
        rows = "".join(
            f"<tr><td><code>{escape(item['name'])}</code></td><td>{item['in']}</td>"
            f"<td><code>{escape(_short(item['schema']))}</code></td></tr>"
            for item in operation["parameters"]
        )
        parts.append(f"<table>{rows}</table>")
    if "requestBody" in operation:
        parts.append(f"<p>Body: {_link(operation['requestBody'])}</p>")
    answers = (
        f"<tr><td>{status}</td><td>{escape(response['description'])}</td><td>{_link(response)}</td></tr>"
        for status, response in operation["responses"].items()
    )
    parts.append(f"<table>{''.join(answers)}</table></article>")
    return "".join(parts)


def _short(schema: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value}" if key != "type" else str(value)
        for key, value in schema.items()
        if key in ("type", "enum", "minimum", "maximum", "default", "format")
    )


def _link(holder: Mapping[str, Any]) -> str:
    schema = holder["content"]["application/json"]["schema"]
    name = schema.get("$ref", "").rpartition("/")[2]
    return f'<a href="#schema-{escape(name)}">{escape(name)}</a>' if name else escape(_short(schema))


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    return f'<article id="schema-{escape(name)}"><h3>{escape(name)}</h3><pre>{escape(text)}</pre></article>'

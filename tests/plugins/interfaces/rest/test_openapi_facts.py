"""What the OpenAPI document says of requests is what the server does.

Cases are found in the document itself: each limit, pattern, list of words, format, default and null of each request.
A value at the limit is taken, the next one is refused, by requests to an application in this process.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import msgspec
import pytest
from tests.support.hosts import running_host

from memhost.host import core_operations
from memhost.http.app import build_app
from memhost_auth_token.operations import OPERATIONS as TOKEN_OPERATIONS
from memhost_rest.asgi_io import encode
from memhost_rest.openapi import build_document
from memhost_rest.routes import ROUTES

from .rest_fakes import FakeHost, client_for

DOCUMENT: dict[str, Any] = json.loads(encode(build_document(ROUTES, [*core_operations(), *TOKEN_OPERATIONS])))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
JSON = "application/json"

SIZED_BY_THE_REQUEST = {
    "PreviewExtractionBody.context",
    "GetContextBody.timezone",
    "PreviewExtractionBody.namespace",
    "PreviewExtractionBody.user_id",
    "RotateTokenBody.token_id",
    "SearchMemoriesBody.locale",
    "SearchMemoriesBody.timezone",
    "SearchRequest.locale",
    "SearchRequest.timezone",
    "TagFilter.eq",
    "TagFilter.ne",
    "TagFilter.not_eq",
    "TagFilter.startswith",
    "TokenIdBody.token_id",
}
"""Texts in bodies that are not kept and have no limit of their own; the others are in addresses, which have one."""


class Sent(msgspec.Struct, frozen=True):
    """A request that the document shows."""

    operation: str
    verb: str
    path: str
    parameters: Mapping[str, Any]
    body: Any


class Fact(msgspec.Struct, frozen=True):
    """A keyword of the schema of one value in a request.

    Attributes:
        operation: Id of an operation whose request holds the value.
        where: `body`, or the place of a parameter.
        keys: Names and indexes that lead to the value.
        keyword: The keyword.
        schema: The schema of the value that is not null.
        owner: The schema that has the property.
    """

    operation: str
    where: str
    keys: tuple[str | int, ...]
    keyword: str
    schema: Any
    owner: str

    @property
    def id(self) -> str:
        return f"{self.owner}.{self.keys[-1]}-{self.keyword}"


def shown_operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    return {
        method["operationId"]: (verb.upper(), path, method)
        for path, verbs in DOCUMENT["paths"].items()
        for verb, method in verbs.items()
        if method["operationId"] != "call_operation"
    }


OPERATIONS = shown_operations()


def resolved(schema: Any) -> Any:
    return SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def bare(schema: Any) -> Any:
    """The schema of the value that is not null."""
    variants = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
    return resolved(variants[0]) if variants else resolved(schema)


def takes_null(schema: Any) -> bool:
    return any(part.get("type") == "null" for part in schema.get("anyOf", ())) or schema.get("type") == "null"


def body_of(method: Mapping[str, Any]) -> Any:
    return method.get("requestBody", {}).get("content", {}).get(JSON, {})


def sent(name: str, example: str = "") -> Sent:
    """The request of an operation with the examples of the document."""
    verb, path, method = OPERATIONS[name]
    parameters = {item["name"]: item["example"] for item in method.get("parameters", ()) if "example" in item}
    examples = body_of(method).get("examples", {})
    value = (examples[example] if example else next(iter(examples.values())))["value"] if examples else None
    return Sent(operation=name, verb=verb, path=path, parameters=parameters, body=deepcopy(value))


# -- the application --------------------------------------------------------------------------------------


class App:
    """The application on a store in memory, in a thread with a loop of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> App:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with running_host(self._folder, store="memory", run_jobs=False) as host:
            app = build_app(host)
            transport = httpx.ASGITransport(app=cast("Any", app))
            async with (
                app.lifespan(),
                httpx.AsyncClient(transport=transport, base_url="http://localhost") as self._client,
            ):
                self._ready.set()
                await self._stop.wait()

    def call(self, verb: str, url: str, body: Any = None, query: Any = None) -> httpx.Response:
        request = self._client.request(verb, url, json=body, params=query, timeout=None)
        return asyncio.run_coroutine_threadsafe(request, self._loop).result()

    def send(self, request: Sent) -> httpx.Response:
        method = OPERATIONS[request.operation][2]
        places = {item["name"]: item["in"] for item in method.get("parameters", ())}
        url, query = request.path, []
        for name, value in request.parameters.items():
            if places[name] == "path":
                url = url.replace(f"{{{name}}}", quote(str(value), safe=""))
            else:
                values = value if isinstance(value, list) else [value]
                query += [(name, json.dumps(item) if isinstance(item, bool) else str(item)) for item in values]
        return self.call(request.verb, url, request.body, query)

    def prepare(self, request: Sent) -> Sent:
        """The request on what the examples speak of: a session, a memory, and a view whose id is in the request."""
        self.call("PUT", "/v1/working-memory/trip-42?user_id=ana", {"messages": MESSAGES})
        self.call("POST", "/v1/long-term-memory/", {"memories": [{"id": "pref-window-seat", "text": "Window seats."}]})
        if "view_id" in request.parameters:
            view = self.call("POST", "/v1/summary-views", {"source": "long_term", "group_by": ["user_id"]}).json()
            if "id" in view:
                return msgspec.structs.replace(request, parameters={**request.parameters, "view_id": view["id"]})
        return request


MESSAGES = [{"id": "m1", "role": "user", "content": "I always book window seats."}]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with App(tmp_path_factory.mktemp("facts")) as opened:
        yield opened


# -- words --------------------------------------------------------------------------------------------------


def properties(schema: Any) -> Iterator[tuple[str, Any]]:
    """The properties of a schema, and those of objects inside it."""
    for key, part in schema.get("properties", {}).items():
        yield key, part
        yield from ((f"{key}.{inner}", each) for inner, each in properties(bare(part) if "$ref" not in part else {}))


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_property_is_described(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["description"].strip()
    assert "Attributes:" not in schema["description"]
    assert [key for key, part in properties(schema) if len(part.get("description", "").strip()) < 3] == []


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_parameter_is_described_and_shown(name: str) -> None:
    parameters = OPERATIONS[name][2].get("parameters", ())
    assert [item["name"] for item in parameters if not item.get("description", "").strip()] == []
    assert [item["name"] for item in parameters if "example" not in item] == []


def test_a_field_is_described_by_its_own_struct() -> None:
    assert "look for" in SCHEMAS["SearchRequest"]["properties"]["text"]["description"]
    assert "memory says" in SCHEMAS["RecordInput"]["properties"]["text"]["description"]
    assert "entry point" in SCHEMAS["PluginRow"]["properties"]["name"]["description"]
    assert "people" in SCHEMAS["SummaryView"]["properties"]["name"]["description"]


# -- examples -----------------------------------------------------------------------------------------------


def bodies() -> list[tuple[str, str]]:
    return [
        (name, title) for name, (_, _, method) in OPERATIONS.items() for title in body_of(method).get("examples", {})
    ]


def test_every_body_has_an_example() -> None:
    with_body = {name for name, (_, _, method) in OPERATIONS.items() if body_of(method)}
    assert {name for name, _ in bodies()} == with_body
    assert len(with_body) >= 15


def refusal(answer: httpx.Response) -> bool:
    """Whether the request itself was refused; that something is not there, or not configured, is none of its faults."""
    return answer.status_code in (400, 413, 422, 431) and "set LLM_MODEL" not in answer.text


@pytest.mark.parametrize(("name", "title"), [*bodies(), *((name, "") for name in OPERATIONS)])
def test_the_server_takes_every_example(app: App, name: str, title: str) -> None:
    if not title and body_of(OPERATIONS[name][2]):
        title = next(iter(body_of(OPERATIONS[name][2])["examples"]))
    answer = app.send(app.prepare(sent(name, title)))
    assert not refusal(answer), answer.text
    assert answer.status_code < 500 or answer.json()["code"] == "model_unavailable", answer.text


# -- facts --------------------------------------------------------------------------------------------------

LIMITS = ("minLength", "maxLength", "pattern", "minItems", "maxItems", "maxProperties", "x-max-bytes")
BOUNDS = ("minimum", "maximum", "exclusiveMinimum")
KEYWORDS = (*LIMITS, *BOUNDS, "enum", "format", "null", "required", "minProperties", "uniqueItems")

BESIDE: Mapping[tuple[str, str], Any] = {
    ("DateFilter", "inclusive"): {"between": ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]},
    ("SearchRequest", "distance_threshold"): {"search_mode": "semantic"},
    ("SearchMemoriesBody", "distance_threshold"): {"search_mode": "semantic"},
}
"""What a value needs beside it; its description says so."""


TIME = "2026-03-15T12:00:00Z"

NARROWER = {
    ("StrategyInput", "strategy"): "the name of a strategy that there is",
    ("CreateSummaryViewBody", "source"): "only long-term memory can be summarised",
    ("MessageInput", "content"): "null only beside tool_calls",
    ("SearchMemoriesBody", "offset"): "with a text it has a lower limit",
    ("SearchRequest", "offset"): "with a text it has a lower limit",
}
"""Values whose description narrows them further than the limit."""


def facts() -> list[Fact]:
    found: dict[str, Fact] = {}
    for name, (_, _, method) in OPERATIONS.items():
        for item in method.get("parameters", ()):
            owner = f"{name}?"
            for keyword in keywords(item["schema"]):
                add(found, Fact(name, item["in"], (item["name"],), keyword, bare(item["schema"]), owner))
        if content := body_of(method):
            walk_body(found, name, (), content["schema"])
    return list(found.values())


def add(found: dict[str, Fact], fact: Fact) -> None:
    found.setdefault(fact.id, fact)


def keywords(schema: Any) -> list[str]:
    value = bare(schema)
    if "enum" in value:
        return ["enum"]  # which says more than any other limit
    return [keyword for keyword in KEYWORDS if keyword in value and keyword != "required"]


def walk_body(found: dict[str, Fact], name: str, keys: tuple[str | int, ...], schema: Any, owner: str = "") -> None:
    if "$ref" in schema:
        owner = schema["$ref"].rpartition("/")[2]
    value = bare(schema)
    for key in value.get("required", ()):
        add(found, Fact(name, "body", (*keys, key), "required", value, owner))
    for key, part in value.get("properties", {}).items():
        for keyword in keywords(part):
            add(found, Fact(name, "body", (*keys, key), keyword, bare(part), owner))
        if {"type", "anyOf", "$ref"} & part.keys():
            add(found, Fact(name, "body", (*keys, key), "null", part, owner))
        inner = bare(part)
        if len(keys) < 4:
            nested = next((each for each in part.get("anyOf", ()) if "$ref" in each), part)
            walk_body(found, name, (*keys, key), nested, f"{owner}.{key}")
            if "items" in inner:
                for keyword in keywords(inner["items"]):
                    add(found, Fact(name, "body", (*keys, key, 0), keyword, bare(inner["items"]), f"{owner}.{key}"))
                walk_body(found, name, (*keys, key, 0), inner["items"], f"{owner}.{key}")


FACTS = facts()


def with_value(fact: Fact, value: Any) -> Sent:
    """The example of the operation with that value at the place of the fact."""
    request = sent(fact.operation)
    if fact.where != "body":
        return msgspec.structs.replace(request, parameters={**request.parameters, fact.keys[0]: value})
    schema = bare(body_of(OPERATIONS[fact.operation][2])["schema"])
    at: Any = request.body
    for key, following in zip(fact.keys, (*fact.keys[1:], None), strict=True):
        last = following is None
        if isinstance(key, int):
            least, schema = schema.get("minItems", 0), bare(schema["items"])
            while len(at) < max(1, least):
                at.append(skeleton(schema))
            at[key] = value if last else at[key]
            at = at[key]
            continue
        part = schema["properties"][key]
        beside = BESIDE.get((fact.owner, key), {}) if last else {}
        at.update(beside)
        if last:
            at[key] = value
        elif not isinstance(at.get(key), (dict, list)):
            at[key] = [] if isinstance(following, int) else skeleton(bare(part))
        at, schema = at[key], next((bare(each) for each in part.get("anyOf", ()) if "$ref" in each), bare(part))
    return request


def skeleton(schema: Any) -> Any:
    """The smallest value of a schema, by the examples of what it requires."""
    if schema.get("type") == "object":
        return {key: skeleton_of(schema["properties"][key]) for key in schema.get("required", ())}
    if schema.get("format") == "date-time":
        return TIME
    return schema.get("examples", schema.get("enum", ["a"]))[0]


def skeleton_of(schema: Any) -> Any:
    return schema["examples"][0] if "examples" in schema else skeleton(bare(schema))


def item_of(schema: Any, number: int) -> Any:
    """A value for a list, another one for each number."""
    if words := bare(schema).get("enum"):
        return words[number % len(words)]
    item = skeleton(bare(schema))
    if isinstance(item, dict) and "content" in bare(schema).get("properties", {}):
        item["content"] = "hi"
    if isinstance(item, dict) and "id" in item:
        item["id"] = f"item-{number}"
    return item


def values(fact: Fact) -> tuple[list[Any], list[Any]]:
    """Values that the document allows, at the limit, and values that it does not, just beyond."""
    limit = fact.schema.get(fact.keyword)
    if fact.keyword in BOUNDS:
        step = {"minimum": -1, "maximum": 1, "exclusiveMinimum": 0}[fact.keyword]
        return [limit + 0.5 if not step else limit], [limit + step]
    if fact.keyword.startswith(("min", "max", "x-max")):
        beyond = limit + (-1 if fact.keyword.startswith("min") else 1)
        return [sized(fact, limit)], [sized(fact, beyond)]
    match fact.keyword:
        case "pattern":
            return ["a b"], [" " if limit == r"\S" else "a,b"]
        case "uniqueItems":
            item = item_of(fact.schema["items"], 0)
            return [[item]], [[item, item]]
        case "enum":
            return list(limit), ["no such word"]
        case "format":
            return ([TIME, "2026-03-15T13:00:00+01:00"], ["no time"]) if limit == "date-time" else ([], [0.5])
    raise AssertionError(fact.keyword)


def sized(fact: Fact, size: int) -> Any:
    """A value of that size."""
    if fact.keyword.endswith("Length"):
        return "a" * size
    if fact.keyword.endswith("Items"):
        return [item_of(fact.schema["items"], number) for number in range(size)]
    if fact.keyword.endswith("Properties"):
        return {f"k{number}": {"eq": "a"} for number in range(size)}
    key = "topics" if fact.keys[-1] == "filters" else "a"
    return {key: "x" * (size - len(json.dumps({key: ""}, separators=(",", ":"))))}


def shortened(fact: Fact) -> str:
    return fact.id


def is_testable(fact: Fact) -> bool:
    """An empty part of a path is another path, and a list in an address meets the limit of addresses first."""
    return (fact.where, fact.keyword) not in (("path", "minLength"), ("query", "maxItems"))


def is_heavy(fact: Fact) -> bool:
    """Ten thousand memories or messages: that they are stored is the business of other tests, and takes a while."""
    return fact.keyword == "maxItems" and fact.schema["maxItems"] > 1000 and "$ref" in fact.schema["items"]


BY_VALUE = [fact for fact in FACTS if fact.keyword not in ("null", "required") and is_testable(fact)]
AT_LIMIT = [
    fact
    for fact in BY_VALUE
    if fact.keyword != "minProperties"
    and not is_heavy(fact)
    and not ((fact.owner, fact.keys[-1]) in NARROWER and fact.keyword in ("maximum", "maxLength", "enum"))
]


def is_plain(fact: Fact) -> bool:
    """A filter of nulls alone says nothing, and is refused for that."""
    return (
        not fact.owner.endswith("Filter")
        and fact.owner != "MessageInput.content"
        and ((fact.owner, fact.keys[-1]) not in NARROWER)
    )


NULLS = [fact for fact in FACTS if fact.keyword == "null"]
REQUIRED = [fact for fact in FACTS if fact.keyword == "required" and fact.owner != "RunPartitionBody"]
"""Some clients send a group without its wrapper."""


def test_the_document_holds_many_facts() -> None:
    assert len(FACTS) >= 200
    assert {fact.keyword for fact in FACTS} == set(KEYWORDS)


@pytest.mark.parametrize("fact", BY_VALUE, ids=shortened)
def test_a_value_beyond_a_limit_is_refused(app: App, fact: Fact) -> None:
    for value in values(fact)[1]:
        answer = app.send(app.prepare(with_value(fact, value)))
        assert refusal(answer), f"{str(value)[:60]}: {answer.status_code} {answer.text[:200]}"
        assert any(str(key) in answer.text for key in fact.keys if isinstance(key, str)), answer.text[:300]
        assert answer.json()["code"] == fact.schema.get("x-error-code", answer.json()["code"])


@pytest.mark.parametrize("fact", AT_LIMIT, ids=shortened)
def test_a_value_at_a_limit_is_taken(app: App, fact: Fact) -> None:
    for value in values(fact)[0]:
        answer = app.send(app.prepare(with_value(fact, value)))
        assert not refusal(answer), f"{str(value)[:60]}: {answer.text[:300]}"
        assert answer.status_code < 500 or answer.json()["code"] == "model_unavailable", answer.text[:300]


@pytest.mark.parametrize("fact", [fact for fact in NULLS if is_plain(fact)], ids=shortened)
def test_null_is_taken_where_the_document_says_so(app: App, fact: Fact) -> None:
    answer = app.send(app.prepare(with_value(fact, None)))
    assert refusal(answer) is not takes_null(fact.schema), answer.text[:300]


@pytest.mark.parametrize("fact", REQUIRED, ids=shortened)
def test_a_required_field_cannot_be_left_out(app: App, fact: Fact) -> None:
    request = with_value(fact, "a")
    holder: Any = request.body
    for key in fact.keys[:-1]:
        holder = holder[key]
    del holder[fact.keys[-1]]
    answer = app.send(app.prepare(request))
    assert answer.status_code == 422, answer.text[:300]
    assert any(item["type"] == "missing" and item["loc"][-1] == fact.keys[-1] for item in answer.json()["detail"])


@pytest.mark.parametrize("name", sorted({fact.operation for fact in FACTS} - {each.name for each in TOKEN_OPERATIONS}))
def test_defaults_are_those_of_the_request_that_is_run(name: str) -> None:
    method = OPERATIONS[name][2]
    fields: dict[str, Any] = {item["name"]: item["schema"] for item in method.get("parameters", ())}
    request = sent(name)
    least: Any = None
    if content := body_of(method):
        schema = bare(content["schema"])
        fields |= schema["properties"]
        least = {key: request.body[key] for key in schema.get("required", ())}
    url = request.path
    for key, value in request.parameters.items():
        url = url.replace(f"{{{key}}}", str(value))
    host = FakeHost()
    with client_for(host) as client:
        assert client.request(request.verb, url, json=least).status_code == 200
    run = msgspec.to_builtins(host.last)
    defaults = {key: schema["default"] for key, schema in fields.items() if schema.get("default") is not None}
    assert {key: run[key] for key in defaults} == defaults


def texts_and_lists() -> Iterator[tuple[str, Any]]:
    for name, (_, _, method) in OPERATIONS.items():
        for item in method.get("parameters", ()):
            yield f"{name}?{item['name']}", item["schema"]
    for fact in NULLS:
        yield f"{fact.owner}.{fact.keys[-1]}", {**fact.schema, **bare(fact.schema)}


def test_texts_lists_and_numbers_show_their_limits() -> None:
    found = set()
    for name, schema in texts_and_lists():
        kind = schema.get("type")
        if kind == "string" and not {"maxLength", "enum", "format"} & schema.keys() and "?" not in name:
            found.add(name)
        if kind == "array" and not {"maxItems", "uniqueItems"} & schema.keys() and "enum" not in schema["items"]:
            found.add(name)
        if kind == "integer":
            assert {"minimum", "maximum"} <= schema.keys(), name
    assert found == SIZED_BY_THE_REQUEST

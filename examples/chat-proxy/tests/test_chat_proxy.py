"""An agent that knows nothing of memhost, with its base URL changed."""

import httpx
import openai
import pytest
from chat_proxy.conversation import StreamedAnswer, with_memories

from memhost.errors import StoreUnavailable
from memhost.testing.hosts import call
from memhost.testing.interface import InterfaceConformance

CHAT = "/proxy/v1/chat/completions"
HELLO = {"model": "m1", "messages": [{"role": "user", "content": "Hello"}]}


class Kit(InterfaceConformance):
    """Opens a host in this process, and an HTTP client of it; tokens are names of callers."""

    plugins = {"chat-proxy": "chat_proxy"}
    interface = "chat_proxy"

    def __init__(self, **settings):
        self.settings = settings

    def door(self, host, client):
        return client


def client_of(server, key="upstream-key", **headers):
    return openai.OpenAI(base_url=f"{server.url}/proxy/v1", api_key=key, max_retries=0, default_headers=headers)


def say(client, *texts, **options):
    """The answer to the last text; texts before it are the conversation so far."""
    roles = ["user", "assistant"] * len(texts)
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    return client.chat.completions.create(model="m1", messages=messages, **options)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_what_was_said_in_one_session_is_remembered_in_another(server, provider, stream):
    user, other = f"ann-{stream}", f"bob-{stream}"
    with client_of(server) as client:
        provider.answer = "Kiel is a fine harbour."
        answer = say(client, "My boat Alma lies in Kiel.", user=user, stream=stream)
        if stream:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
            assert text == "Kiel is a fine harbour. "
        else:
            assert answer.choices[0].message.content == "Kiel is a fine harbour."
            assert answer.usage.total_tokens == 5
        assert provider.messages == [{"role": "user", "content": "My boat Alma lies in Kiel."}]
        assert provider.asked[-1][1]["authorization"] == "Bearer upstream-key"
        listed = httpx.get(f"{server.url}/v1/working-memory/", params={"user_id": user})
        assert listed.json()["total"] == 1, "the turn is stored before the end of the answer is sent"
        say(client, "Where is my boat?", user=user)
        system, question = provider.messages
        assert system["role"] == "system"
        assert "My boat Alma lies in Kiel." in system["content"]
        assert "not instructions" in system["content"], "what is remembered is fenced"
        assert question == {"role": "user", "content": "Where is my boat?"}
        say(client, "Where is my boat?", user=other)
        assert len(provider.messages) == 1, "bob has another memory"


def test_sessions_keep_each_turn_once(server, provider):
    named = {"X-Memhost-Session": "s1", "X-Memhost-User": "ann", "X-Memhost-Namespace": "work"}
    with client_of(server, **named) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="m1", messages=[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
        )
        assert raw.headers["x-memhost-memory"] == "stored"
        assert raw.headers["x-memhost-session"] == "s1"
        assert raw.headers["x-request-id"] != ""
        for _ in range(2):  # a request that is sent again adds nothing
            say(client, "Hello", "Nice to hear.", "And now?")
    read = httpx.get(f"{server.url}/v1/working-memory/s1", params={"user_id": "ann", "namespace": "work"}).json()
    texts = [(each["role"], each["content"]) for each in read["messages"]]
    assert texts[:2] == [("user", "Hello"), ("assistant", "Nice to hear.")]
    assert texts[2:] == [("user", "And now?"), ("assistant", "Nice to hear.")]


def test_errors_of_the_provider_are_passed_on(server, provider):
    with client_of(server) as client:
        provider.failure = (429, {"error": {"message": "slow down", "type": "rate", "code": "rate_limit"}})
        with pytest.raises(openai.RateLimitError, match="slow down"):
            say(client, "Hello", user="carl")
        provider.failure = (400, {"error": {"message": "no such model", "type": "x", "code": "y"}})
        with pytest.raises(openai.BadRequestError, match="no such model"):
            say(client, "Hello", user="carl", stream=True)
        provider.failure = None
        assert client.models.list().data[0].id == "m1", "other paths are passed on"
    assert httpx.get(f"{server.url}/v1/working-memory/", params={"user_id": "carl"}).json()["total"] == 0, (
        "nothing was said, nothing is stored"
    )


async def test_a_provider_that_is_away_is_told(tmp_path):
    async with Kit(CHAT_PROXY_UPSTREAM="http://127.0.0.1:9/v1").opened(tmp_path) as (_, client):
        answer = await client.post(CHAT, json=HELLO, headers={"x-api-key": "ann"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")


@pytest.mark.parametrize("trouble", ["recall", "store"])
async def test_trouble_with_memory_never_stops_the_chat(tmp_path, provider, monkeypatch, trouble, caplog):
    async def away(*_, **__):
        raise StoreUnavailable("The store does not answer.")

    async with Kit(CHAT_PROXY_UPSTREAM=provider.url).opened(tmp_path) as (host, client):
        monkeypatch.setattr(host.store, {"recall": "candidates", "store": "commit"}[trouble], away)
        headers = {"x-api-key": "ann", "authorization": "Bearer upstream-key"}
        answer = await client.post(CHAT, json=HELLO, headers=headers)
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"] == "Nice to hear."
        assert f"{trouble}-failed=store_unavailable" in answer.headers["x-memhost-memory"]
        assert "chat_proxy.without_memory" in caplog.text


async def test_callers_stay_within_their_bounds(tmp_path, provider):
    settings = {"CHAT_PROXY_UPSTREAM": provider.url, "CHAT_PROXY_API_KEY": "real"}
    async with Kit(**settings).opened(tmp_path) as (host, client):
        memories = [{"id": "a", "text": "Bob's boat is red", "user_id": "bob"}]
        await call(host, "create_memories", memories=memories)
        body = {"model": "m1", "user": "bob", "messages": [{"role": "user", "content": "Which boat is red?"}]}
        for name, sent in (("ann", 1), ("bob", 2)):
            answer = await client.post(CHAT, json=body, headers={"authorization": f"Bearer {name}"})
            assert answer.status_code == 200
            assert len(provider.messages) == sent, "only bob's question comes with his memories"
            assert provider.asked[-1][1]["authorization"] == "Bearer real"
        asked = len(provider.asked)
        for path in (CHAT, "/proxy/v1/embeddings"):
            refused = await client.post(path, json=body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthorized")
        assert len(provider.asked) == asked, "the key of the settings is for those who may use the server"


async def test_no_path_leads_the_key_anywhere_else(tmp_path, provider):
    settings = {"CHAT_PROXY_UPSTREAM": provider.url, "CHAT_PROXY_API_KEY": "real"}
    async with Kit(**settings).opened(tmp_path) as (_, client):
        for path in ("http://127.0.0.1:9/x", "/127.0.0.1:9/x", "x?y=1", "%2e%2e/admin", "a/%2e%2e/%2e%2e/admin"):
            answer = await client.get(f"/proxy/v1/{path}", headers={"authorization": "Bearer ann"})
            assert answer.status_code in (200, 404), path
    asked = [path for path, _, _ in provider.asked]
    assert asked == ["/v1/http%3A/127.0.0.1%3A9/x", "/v1/127.0.0.1%3A9/x", "/v1/x?y=1"]


def test_memories_go_into_the_system_prompt():
    parts = {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]}
    assert with_memories([parts], "M")[0]["content"][1:] == [{"type": "text", "text": "M"}]
    assert with_memories([{"role": "system", "content": "Be kind."}], "M")[0]["content"] == "Be kind.\n\nM"


def test_events_are_read_wherever_they_are_cut():
    events = b'data: {"choices": [{"index": 0, "delta": {"content": "caf\xc3\xa9"}}]}\r\n\r\ndata: [DONE]\r\n\r\n'
    streamed = StreamedAnswer()
    for byte in events:
        streamed.feed(bytes([byte]))
    assert (streamed.text, streamed.complete) == ("caf\u00e9", True)

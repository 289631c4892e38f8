"""URLs of Redis, as all plugins read them."""

from __future__ import annotations

from typing import Any

import pytest

from memhost.errors import ConfigurationError
from memhost.redis_urls import RedisUrl, read_redis_url, server_of

LOGIN = {"username": "app", "password": "s3cret,@"}


def read(url: str) -> RedisUrl:
    return read_redis_url(url, setting="ACME_URL", no_cluster="No cluster.")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h", {"server": "h"}),
        ("redis://h:1/2", {"server": "h:1", "database": "2"}),
        ("redis://h:1/2?db=3", {"server": "h:1", "database": "3"}),
        ("rediss://app:s3cret%2C%40@h", {"server": "h", "tls": True, "login": LOGIN}),
        ("redis://:pw@h", {"server": "h", "login": {"username": None, "password": "pw"}}),
        ("unix:///run/redis.sock?db=1", {"server": "/run/redis.sock", "is_socket": True, "database": "1"}),
        (
            "redis+sentinel://app:s3cret%2C%40@one:1,two/main/4",
            {
                "server": "one:1,two",
                "login": LOGIN,
                "service": "main",
                "database": "4",
                "sentinels": (("one", 1), ("two", 26379)),
            },
        ),
        (
            "rediss+sentinel://[::1]:7,[::2]/main?sentinel_username=w&sentinel_password=x",
            {
                "server": "[::1]:7,[::2]",
                "tls": True,
                "service": "main",
                "sentinels": (("::1", 7), ("::2", 26379)),
                "sentinel_login": {"username": "w", "password": "x"},
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_form_is_read(url: str, said: dict[str, Any]) -> None:
    assert read(url) == RedisUrl(url=url, **said)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis+cluster://h", "^No cluster.$"),
        ("redis://h?Cluster=True", "^No cluster.$"),
        ("redis://one,two", "^No cluster.$"),
        ("http://h", "^ACME_URL must start with one of: redis://, "),
        ("h:6379", "^ACME_URL must start with one of: redis://, "),
        ("redis://[h", "^ACME_URL cannot be read: "),
        ("redis+sentinel://h", "^ACME_URL must name the Sentinel service: "),
        ("redis+sentinel://h:port/main", "^ACME_URL cannot be read: "),
    ],
)
def test_other_forms_are_refused(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        read(url)


def test_messages_show_no_login() -> None:
    assert server_of("redis://me:hidden@h:1/0") == "h:1"


@pytest.mark.parametrize("url", ["redis://h:1/0 ", " redis://h:1/0", "redis://h:1/0\n", "\tredis://h:1/0\r\n"])
def test_blanks_around_a_url_are_no_part_of_it(url: str) -> None:
    assert read(url) == read("redis://h:1/0")


@pytest.mark.parametrize(
    "query", ["protocol=3", "decode_responses=True", "db=0&Protocol=2", "encoding=latin-1", "encoding_errors=ignore"]
)
@pytest.mark.parametrize("start", ["redis://h/", "rediss://h/", "unix:///s", "redis+sentinel://h/main"])
def test_options_that_change_the_form_of_answers_are_refused_by_name(start: str, query: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"(?i){query.rpartition('&')[2].partition('=')[0]}"):
        read(f"{start}?{query}")


@pytest.mark.parametrize("query", ["socket_timeout=3", "ssl_cert_reqs=none", "health_check_interval=5"])
def test_other_options_go_to_the_client(query: str) -> None:
    assert query in read(f"redis://h/?{query}").url

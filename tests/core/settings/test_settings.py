"""The configuration: sources, precedence, names, conversion, secrets, and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from memhost.errors import ConfigurationError
from memhost.plugins import PluginManager
from memhost.plugins.settings_reference import bundled_sections, render_reference
from memhost.settings import (
    Configuration,
    Secret,
    export_options,
    export_provider_keys,
    load_configuration,
    peek,
    setting,
)
from memhost.settings.loading import all_settings

DOCS = Path(__file__).parents[3] / "docs" / "settings.md"


class FileStore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: Annotated[str, setting("File.")] = "memory.db"
    pages: Annotated[int, setting("Pages.", ge=1)] | None = None


class NetStore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: Annotated[Secret, setting("Address.", secret=True)]
    password: Annotated[str | None, setting("Password.", secret=True, env=("NET_AUTH",))] = None


SECTIONS: dict[tuple[str, str], type[msgspec.Struct]] = {
    ("stores", "file"): FileStore,
    ("stores", "net"): NetStore,
}


def load(environ: dict[str, str] | None = None, **more: Any) -> Configuration:
    return load_configuration(environ=environ or {}, env_file=more.pop("env_file", None), **more)


def problems(environ: dict[str, str] | None = None, **more: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, **more)
    return caught.value.problems


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_anything_all_values_are_defaults() -> None:
    found = load(sections=SECTIONS)
    assert found.settings.server.port == 8000
    assert set(found.sources.values()) == {"default"}
    assert found.warnings == []
    assert not found.is_set("server.port")


def test_each_source_beats_the_one_below(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text("[server]\nport = 1\nworkers = 11\nlog_level = 'DEBUG'\nstore = 'a'\n")
    dotenv = tmp_path / ".env"
    dotenv.write_text("PORT=2\nWORKERS=12\nLOG_LEVEL=warning\n")
    found = load({"PORT": "3", "WORKERS": "13"}, env_file=dotenv, config_file=file, options={"server.port": 4})
    server = found.settings.server
    assert (server.port, server.workers, server.log_level, server.store) == (4, 13, "WARNING", "a")
    assert found.sources["server.port"] == "option --port"
    assert found.sources["server.workers"] == "environment WORKERS"
    assert found.sources["server.log_level"] == ".env"
    assert found.sources["server.store"] == f"file {file}"


def test_options_that_were_not_given_change_nothing() -> None:
    assert load({"PORT": "3"}, options={"server.port": None}).settings.server.port == 3


@pytest.mark.parametrize("name", ["MEMHOST_PORT", "PORT", "port", "Memhost_Port"])
def test_prefix_is_optional_and_case_is_ignored(name: str) -> None:
    assert load({name: "9"}).settings.server.port == 9


def test_empty_variables_count_as_not_set() -> None:
    assert load({"LLM_MODEL": "", "PORT": " "}).settings.server == load().settings.server


def test_plugin_settings_have_the_plugin_name_in_their_variables() -> None:
    found = load({"FILE_PATH": "x.db", "MEMHOST_FILE_PAGES": "3"}, sections=SECTIONS)
    assert found.section("stores", "file") == FileStore(path="x.db", pages=3)


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("LONG_TERM_MEMORY", "off", "memory.long_term_memory", False),
        ("LONG_TERM_MEMORY", "Yes", "memory.long_term_memory", True),
        ("INTERFACES", "rest, mcp", "server.interfaces", ("rest", "mcp")),
        ("INTERFACES", '["rest"]', "server.interfaces", ("rest",)),
        ("JOB_BACKOFF_S", "1,2.5", "server.job_backoff_s", (1.0, 2.5)),
        ("WEIGHTS", '{"recency": 0.5}', "search.weights", {"recency": 0.5}),
        ("MAX_BODY_BYTES", "2_000_000", "server.max_body_bytes", 2_000_000),
        ("TASK_BACKEND", "docket", "server.runner", "arq"),
        ("USE_DOCKET", "true", "server.runner", "arq"),
        ("USE_DOCKET", "false", "server.runner", "inline"),
        ("BACKEND", "asyncio", "server.runner", "inline"),
        ("AUTH_MODE", "disabled", "server.auth", "none"),
    ],
)
def test_text_becomes_the_type_of_the_setting(name: str, text: str, path: str, value: Any) -> None:
    section, _, field = path.partition(".")
    assert getattr(getattr(load({name: text}).settings, section), field) == value


def test_all_problems_are_told_at_once_with_source_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text("port = 1\n[server]\nprot = 1\nlog_level = 'loud'\n[stores.fiel]\na = 1\n[srver]\n")
    told = problems({"PORT": "99999", "SUMMARIZE": "perhaps"}, config_file=file, sections=SECTIONS)
    assert told == (
        f"file {file}: port belongs in the table [server].",
        f"file {file}: server.prot is not a setting. Did you mean port?",
        f"file {file}: no plugin has the settings [stores.fiel]. Did you mean stores.file?",
        f"file {file}: [srver] is not a section. Did you mean server?",
        f"server.log_level in {file} is 'loud', but must be one of CRITICAL, DEBUG, ERROR, INFO, WARNING.",
        "PORT is '99999', but must be a whole number from 0 to 65535.",
        "SUMMARIZE is 'perhaps', but must be true or false.",
    )


def test_plugin_tables_are_not_checked_before_plugins_are_known(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text("[stores.gone]\na = 1\n")
    assert load(config_file=file).warnings == []
    assert "stores.gone" in load(config_file=file, sections=SECTIONS, lenient=True).warnings[0]
    file.write_text('[auth.gone]\nissuer = "https://id.example"\n')
    with pytest.raises(ConfigurationError, match=r"auth\.gone"):
        load(config_file=file, sections=SECTIONS, lenient=True)


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "bom"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.json", '{"server": {"port": 5}}'),
        ("m.yaml", "server:\n  port: 5\n"),
        ("m.toml", "[server]\nport = 5\n"),
    ],
)
def test_file_formats(tmp_path: Path, name: str, text: str, mark: str) -> None:
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    file = tmp_path / name
    file.write_text(mark + text, encoding="utf-8")
    assert load({"CONFIG_FILE": str(file)}).settings.server.port == 5
    assert load({"REDIS_MEMORY_CONFIG": str(file)}).settings.server.port == 5


def test_file_in_the_working_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "memhost.toml").write_text("[server]\nport = 5\n")
    assert load().settings.server.port == 5


@pytest.mark.parametrize("text", ["[server", "[server]\nport ="])
def test_broken_file_is_one_problem(tmp_path: Path, text: str) -> None:
    file = tmp_path / "m.toml"
    file.write_text(text)
    assert len(problems(config_file=file)) == 1


def test_named_file_that_is_missing_is_a_problem() -> None:
    told = problems({"CONFIG_FILE": "/nowhere.toml"})
    assert told == (
        "The configuration file /nowhere.toml (named by CONFIG_FILE) cannot be read: No such file or directory.",
    )


def test_two_own_names_must_agree() -> None:
    assert load({"PORT": "1", "MEMHOST_PORT": "1"}).settings.server.port == 1
    assert "MEMHOST_PORT and PORT" in problems({"PORT": "1", "MEMHOST_PORT": "2"})[0]


def test_own_name_beats_alias_with_a_warning() -> None:
    found = load({"LLM": "a", "GENERATION_MODEL": "b"})
    assert found.settings.server.llm == "a"
    assert found.warnings == ["GENERATION_MODEL is ignored: LLM sets the same thing (server.llm)."]
    assert problems({"LLM_MODEL": "a", "GENERATION_MODEL": "b"})


def test_host_of_other_programs_is_not_an_address() -> None:
    found = load({"HOST": "x86_64-conda-linux-gnu"})
    assert found.settings.server.host == "127.0.0.1"
    assert "MEMHOST_HOST" in found.warnings[0]
    assert load({"HOST": "0.0.0.0"}).settings.server.host == "0.0.0.0"


def test_value_from_a_file_loses_its_line_end(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("redis://:hush@db\n")
    found = load({"NET_URL_FILE": str(secret)}, sections=SECTIONS)
    assert msgspec.structs.asdict(found.section("stores", "net"))["url"] == "redis://:hush@db"
    assert problems({"NET_URL": "x", "NET_URL_FILE": str(secret)}, sections=SECTIONS)
    assert problems({"NET_URL_FILE": "/nowhere"}, sections=SECTIONS)


def test_required_setting_is_missed_only_by_who_asks_for_it() -> None:
    found = load(sections=SECTIONS)
    with pytest.raises(ConfigurationError, match=r"stores\.net needs url: set NET_URL"):
        found.section("stores", "net")


def test_secrets_are_never_shown() -> None:
    found = load({"NET_URL": "redis://hush-a", "NET_AUTH": "hush-b"}, sections=SECTIONS)
    assert "hush" not in repr(found)
    assert "hush" not in repr(found.describe())
    assert "hush-a" not in repr(found.section("stores", "net"))
    assert "hush-a" in repr(found.describe(redact=False))


def test_bad_secret_is_not_shown() -> None:
    class Strict(msgspec.Struct, frozen=True):
        key: Annotated[str, setting("Key.", secret=True, min_length=20)] = "x" * 20

    told = problems({"A_KEY": "hush"}, sections={("auth", "a"): Strict})
    assert told == ("A_KEY is ********, but must be text of at least 20 characters.",)


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("MEMHOST_PROT", "MEMHOST_PROT is not a setting. Did you mean MEMHOST_PORT?"),
        ("LLM_MODLE", "LLM_MODLE is not a setting. Did you mean LLM_MODEL?"),
        ("TOPIC_MODEL", "TOPIC_MODEL is not used by this version."),
    ],
)
def test_variables_that_nobody_reads_are_warned_about(name: str, warning: str) -> None:
    assert load({name: "1"}, sections=SECTIONS).warnings == [warning]


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "SLOW_MODEL", "PATH", "HOSTNAME", "MEMHOST_DEBUG"])
def test_variables_of_others_are_left_alone(name: str) -> None:
    assert load({name: "1"}, sections=SECTIONS).warnings == []


@pytest.mark.parametrize(
    ("environ", "auth"),
    [
        ({"DISABLE_AUTH": "true"}, "none"),
        ({"TOKEN_AUTH_ENABLED": "true"}, "token"),
        ({"DISABLE_AUTH": "false", "TOKEN_AUTH_ENABLED": "true"}, "token"),
        ({"DISABLE_AUTH": "false", "AUTH_MODE": "oauth2"}, "jwt"),
        ({"DISABLE_AUTH": "false", "OAUTH2_ISSUER_URL": "https://i"}, "jwt"),
        ({"AUTH_MODE": "token"}, "token"),
        ({"TOKEN_AUTH_ENABLED": "false"}, "none"),
        ({"OAUTH2_ISSUER_URL": "https://i"}, "jwt"),
        ({"JWT_ISSUER": "https://i"}, "jwt"),
        ({"MEMHOST_JWT_ISSUER": "https://i"}, "jwt"),
        ({"AUTH_TOKENS": "t"}, "token"),
        ({"AUTH_TOKENS_FILE": "t"}, "token"),
        ({"DISABLE_AUTH": "true", "AUTH_TOKENS": "t"}, "none"),
        ({"AUTH": "token", "OAUTH2_ISSUER_URL": "https://i"}, "token"),
        ({"AUTH_MODE": "token, oauth2", "OAUTH2_ISSUER_URL": "https://i", "AUTH_TOKENS": "t"}, "token,jwt"),
        ({"OAUTH2_ISSUER_URL": "https://i", "AUTH_TOKENS": "t", "TOKEN_AUTH_ENABLED": "1"}, "token"),
    ],
)
def test_older_switches_of_authentication(environ: dict[str, str], auth: str) -> None:
    found = load(environ)
    assert found.settings.server.auth == auth
    assert found.is_set("server.auth") is (auth != "none")


@pytest.mark.parametrize(
    "environ",
    [
        {"DISABLE_AUTH": "true", "AUTH_MODE": "token"},
        {"DISABLE_AUTH": "true", "TOKEN_AUTH_ENABLED": "true"},
        {"DISABLE_AUTH": "false"},
        {"DISABLE_AUTH": "false", "AUTH_MODE": "disabled"},
        {"TOKEN_AUTH_ENABLED": "true", "AUTH": "none"},
        {"OAUTH2_ISSUER_URL": "https://i", "AUTH_TOKENS": "t"},
        {"AUTH": "none", "AUTH_TOKENS": "t"},
        {"AUTH_MODE": "disabled", "OAUTH2_ISSUER_URL": "https://i"},
        {"AUTH": "none", "AUTH_MODE": "token"},
        {"AUTH": "none", "MEMHOST_AUTH_MODE": "token,jwt"},
        {"TOKEN_AUTH_ENABLED": "ture", "DISABLE_AUTH": "true"},
        {"DISABLE_AUTH": "treu", "AUTH": "token"},
        {"OAUTH2_AUDIENCE": "memhost"},
        {"OAUTH2_JWKS_URL": "https://i/keys"},
    ],
)
def test_contradictory_authentication_is_refused(environ: dict[str, str]) -> None:
    assert len(problems(environ)) == 1


@pytest.mark.parametrize(
    ("environ", "text", "auth"),
    [
        ({"JWT_ISSUER": "https://i"}, "", "jwt"),
        ({}, "[auth.jwt]\nissuer = ['https://i']", "jwt"),
        ({}, "[auth.token]\ntokens = ['t']", "token"),
        ({"AUTH": "token"}, "[auth.jwt]\nissuer = ['https://i']", "token"),
        ({"AUTH": "none"}, "[auth.jwt]\nissuer = ['https://i']", None),
        ({"AUTH": "none"}, "[auth.token]\ntokens = ['t']", None),
        ({"JWT_ISSUER": "https://i"}, "[auth.token]\ntokens = ['t']", None),
        ({"JWT_AUDIENCE": "memhost"}, "", None),
        ({}, "[auth.jwt]\njwks_url = 'https://i/keys'", None),
        ({}, "[auth.token]\nkey = 'k'", None),
    ],
)
def test_credentials_in_the_file_or_by_new_names_count_as_well(
    environ: dict[str, str], text: str, auth: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "m.toml"
    file.write_text(text)
    more: dict[str, Any] = {"config_file": file, "sections": bundled_sections(PluginManager.load())}
    if auth is None:
        assert len(problems(environ, **more)) == 1
    else:
        assert load(environ, **more).settings.server.auth == auth


def test_what_disable_auth_leaves_unused_is_told() -> None:
    assert load({"DISABLE_AUTH": "true", "AUTH_TOKENS": "t"}).warnings == [
        "AUTH_TOKENS is not used, because DISABLE_AUTH is true."
    ]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("TRUSTED_PROXIES", "*, 10.0.0.0/8, 10.0.0.1, ::1", ["nginx", "localhost", "10.0.0.0/33", "10.0.0.1/8"]),
        (
            "CORS_ALLOWED_ORIGINS",
            "*, https://a.example, http://localhost:3000, https://*.example.com, http://[::1]:9",
            [
                "null",
                "a.example",
                "https://a.example/",
                "https://a.example/x",
                "HTTPS://A.example",
                "HTTPS://a.example",
                "https://u@a",
                "x://",
            ],
        ),
    ],
)
def test_addresses_that_would_be_ignored_are_refused(name: str, good: str, bad: list[str]) -> None:
    load({name: good})
    for each in bad:
        assert each in problems({name: f"{good}, {each}"})[0]


def test_options_for_child_processes_replace_other_names() -> None:
    environ = {"PORT": "1", "MEMHOST_PORT": "2", "port": "3", "DATA": "a", "OTHER": "x"}
    export_options({"server.port": 4, "server.data_dir": "b", "server.host": None}, environ)
    assert environ == {"MEMHOST_PORT": "4", "MEMHOST_DATA_DIR": "b", "OTHER": "x"}
    assert load(environ).settings.server.port == 4


def test_only_provider_keys_leave_the_env_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("OPENAI_API_KEY=new\nANTHROPIC_API_KEY=b\nREDIS_URL=c\n")
    environ = {"OPENAI_API_KEY": "old"}
    assert export_provider_keys(env_file=dotenv, environ=environ) == ["ANTHROPIC_API_KEY"]
    assert environ == {"OPENAI_API_KEY": "old", "ANTHROPIC_API_KEY": "b"}


def test_one_setting_can_be_read_though_others_are_wrong() -> None:
    environ = {"PORT": "x", "PLUGINS_DISABLED": "a, b", "WORKERS": "y"}
    assert peek("server.plugins_disabled", environ=environ, env_file=None) == ("a", "b")
    assert peek("server.workers", environ=environ, env_file=None) == 1


def test_reference_in_the_docs_is_up_to_date() -> None:
    expected = render_reference(bundled_sections(PluginManager.load()))
    assert DOCS.read_text() == expected, "run: memhost config reference > docs/settings.md"


def test_every_setting_says_what_it_does() -> None:
    assert [
        setting.path for setting in all_settings(bundled_sections(PluginManager.load())) if not setting.description
    ] == []

"""Settings: what is read, from where, and how a bad configuration is refused."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.dialects.mainflux.settings import MainfluxSettings
from gateway.settings.core import BadSettings, Settings, read_configuration, shown
from gateway.settings.secret import load_secret
from gateway.settings.sources import child_environment, secret_variables, variable_of
from tests.tools.deployment import groups_of

LONG = "s" * 40
GROUPS = groups_of()[1:]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("GATEWAY_"):
            monkeypatch.delenv(name)


def refused(monkeypatch: pytest.MonkeyPatch, **variables: str) -> tuple[str, ...]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as caught:
        read_configuration(GROUPS)
    return caught.value.problems


def test_every_setting_has_a_usable_default() -> None:
    settings = read_configuration().settings
    assert ("127.0.0.1", 8080, "/filestore") == (settings.host, settings.port, settings.prefix)
    assert settings.database_url is None
    assert settings.trusted_proxies == ()


def test_settings_cannot_be_changed_after_reading() -> None:
    settings = read_configuration().settings
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_every_field_has_a_description() -> None:
    fields = [(n, f) for group in groups_of() for n, f in group.model_fields.items()]
    assert [] == [n for n, field in fields if not field.description]


def test_no_two_groups_read_one_variable() -> None:
    variables = [variable_of(group, n) for group in groups_of() for n in group.model_fields]
    assert sorted(set(variables)) == sorted(variables)


def test_all_problems_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = refused(
        monkeypatch,
        GATEWAY_PORT="eighty",
        GATEWAY_SECRET="short",
        GATEWAY_HOOK_URL="ftp://hook",
        GATEWAY_TRUSTED_PROXIES="10.0.0.0/8,nonsense",
        GATEWAY_ENV_FILE="/no/such/file",
    )
    assert [
        "GATEWAY_ENV_FILE",
        "GATEWAY_PORT",
        "GATEWAY_SECRET",
        "GATEWAY_HOOK_URL",
        "GATEWAY_TRUSTED_PROXIES (item 2)",
    ] == [problem.partition(":")[0] for problem in problems]


def test_a_complaint_never_repeats_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = refused(
        monkeypatch,
        GATEWAY_DATABASE_URL="mysql://me:hunter2@db/x",
        GATEWAY_SECRET="hunter2",
        GATEWAY_ADMIN_PASSWORD="hunter2",
        GATEWAY_ADMIN_EMAIL="hunter2",
        GATEWAY_WORKERS="hunter2",
    )
    assert 5 == len(problems)
    assert "hunter2" not in "\n".join(problems)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("GATEWAY_PORT", "65536", id="port beyond the last"),
        pytest.param("GATEWAY_PREFIX", "filestore", id="prefix without a slash"),
        pytest.param("GATEWAY_PREFIX", "/filestore/", id="prefix with a slash at the end"),
        pytest.param("GATEWAY_PREFIX", "/{name}", id="prefix that would be a pattern"),
        pytest.param("GATEWAY_ACCEL", "_blobs", id="location without a slash"),
        pytest.param("GATEWAY_ACCEL", "/", id="location that is the root"),
        pytest.param("GATEWAY_HOOK_URL", "http://", id="hook without a host"),
        pytest.param("GATEWAY_TRUSTED_PROXIES", "10.0.0.1/8", id="network with host bits"),
        pytest.param("GATEWAY_CORS_ORIGINS", "https://a.example/", id="origin with a path"),
        pytest.param("GATEWAY_CORS_ORIGINS", "a.example", id="origin without a scheme"),
        pytest.param("GATEWAY_CORS_ORIGINS", "null", id="origin of any file"),
        pytest.param("GATEWAY_CORS_ORIGINS", "*,https://a.example", id="any origin and one"),
        pytest.param("GATEWAY_STALL_SECONDS", "0", id="no time at all"),
        pytest.param("GATEWAY_STALL_SECONDS", "inf", id="for ever"),
        pytest.param("GATEWAY_STALL_SECONDS", "nan", id="not a number"),
        pytest.param("GATEWAY_MAX_FILE_BYTES", "-1", id="negative size"),
        pytest.param("GATEWAY_DEVICE_BYTES_PER_SECOND", "1023", id="slower than is of use"),
        pytest.param("GATEWAY_GROUP_BYTES_PER_SECOND", "-1", id="negative rate"),
        pytest.param("GATEWAY_WORKERS", "0", id="no worker"),
        pytest.param("GATEWAY_LOG_LEVEL", "loud", id="unknown level"),
        pytest.param("GATEWAY_ACCESS_LOG", "perhaps", id="neither true nor false"),
    ],
)
def test_a_bad_value_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    (problem,) = refused(monkeypatch, **{variable: value})
    assert problem.startswith(variable)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", 0), ("", 0), ("1024", 1024)],
    ids=["none", "empty is unset", "the slowest"],
)
def test_bandwidth_limits(monkeypatch: pytest.MonkeyPatch, value: str, expected: int) -> None:
    monkeypatch.setenv("GATEWAY_DEVICE_BYTES_PER_SECOND", value)
    monkeypatch.setenv("GATEWAY_GROUP_BYTES_PER_SECOND", value)
    settings = read_configuration().settings
    assert (expected,) * 2 == (settings.device_bytes_per_second, settings.group_bytes_per_second)


@pytest.mark.parametrize(
    ("expected", "value", "written"),
    [
        pytest.param(2_000_000_000, "2GB", "1953125KiB", id="decimal"),
        pytest.param(2 * 1024**3, "2GiB", "2GiB", id="binary"),
        pytest.param(512 * 1024**2, " 512 MiB", "512MiB", id="with spaces"),
        pytest.param(1536, "1.5KiB", "1536", id="a fraction"),
        pytest.param(1_500, "1.5kB", "1500", id="a small letter"),
        pytest.param(17, "17", "17", id="bytes"),
    ],
)
def test_sizes_may_have_a_unit(
    monkeypatch: pytest.MonkeyPatch, expected: int, value: str, written: str
) -> None:
    for name in ("MAX_FILE_BYTES", "MIN_FREE_BYTES", "MEMORY_STORE_BYTES"):
        monkeypatch.setenv(f"GATEWAY_{name}", value)
    configuration = read_configuration()
    settings = configuration.settings
    sizes = (settings.max_file_bytes, settings.min_free_bytes, settings.memory_store_bytes)
    assert (expected,) * 3 == sizes
    assert written == shown(configuration)["GATEWAY_MAX_FILE_BYTES"]


@pytest.mark.parametrize("value", ["2G", "2 giga", "-1GB", "1.5", "GB", "1e3MB", "2GBB", "0x10"])
def test_a_size_that_cannot_be_read_is_told_what_can(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    wanted = "must be a number of bytes, or one with a unit such as 2GB or 512MiB"
    assert (f"GATEWAY_MAX_FILE_BYTES: {wanted}",) == refused(
        monkeypatch, GATEWAY_MAX_FILE_BYTES=value
    )


@pytest.mark.parametrize(
    ("unknown", "expected"),
    [
        ("GATEWAY_PROT", "GATEWAY_PORT"),
        ("GATEWAY_DATADIR", "GATEWAY_DATA_DIR"),
        ("GATEWAY_MAX_FILE_SIZE", "GATEWAY_MAX_FILE_BYTES"),
        ("GATEWAY_SOMETHING_ELSE", None),
    ],
)
def test_an_unknown_setting_is_guessed(unknown: str, expected: str | None) -> None:
    assert expected == read_configuration(GROUPS).likely(unknown)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8,unix")
    monkeypatch.setenv("GATEWAY_ALLOWED_EXTENSIONS", ".BIN, img")
    configuration = read_configuration(GROUPS)
    expected = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), "unix")
    assert expected == configuration.settings.trusted_proxies
    assert ("bin", "img") == configuration.group(MainfluxSettings).allowed_extensions


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        pytest.param(("*",), "", id="empty is any"),
        pytest.param(("*",), "*", id="any"),
        pytest.param(("off",), "off", id="off"),
        pytest.param(("https://a.example",), "HTTPS://A.example", id="as browsers write it"),
        pytest.param(("http://a:8080", "http://[::1]"), "http://a:8080, http://[::1]", id="two"),
    ],
)
def test_origins(monkeypatch: pytest.MonkeyPatch, expected: tuple[str, ...], value: str) -> None:
    monkeypatch.setenv("GATEWAY_CORS_ORIGINS", value)
    assert expected == read_configuration().settings.cors_origins


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("off", None, id="off"),
        pytest.param("", None, id="empty is unset"),
        pytest.param("/_blobs/", "/_blobs", id="slash at the end is dropped"),
    ],
)
def test_accel(monkeypatch: pytest.MonkeyPatch, value: str, expected: str | None) -> None:
    monkeypatch.setenv("GATEWAY_ACCEL", value)
    assert expected == read_configuration().settings.accel


def test_the_environment_wins_over_the_env_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.env"
    file.write_text("GATEWAY_PORT=1234\nGATEWAY_WORKERS=3\n")
    monkeypatch.setenv("GATEWAY_ENV_FILE", str(file))
    monkeypatch.setenv("GATEWAY_PORT", "4321")
    assert (4321, 3) == (read_configuration().settings.port, read_configuration().settings.workers)


def test_a_secret_comes_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{LONG}\n")
    monkeypatch.setenv("GATEWAY_SECRET_FILE", str(tmp_path / "secret"))
    secret = read_configuration().settings.secret
    assert secret is not None
    assert LONG == secret.get_secret_value()


@pytest.mark.parametrize("content", [None, "", "\n"], ids=["absent", "empty", "blank line"])
def test_a_secret_file_without_a_secret_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    (problem, *_) = refused(monkeypatch, GATEWAY_SECRET_FILE=str(path))
    assert problem.startswith("GATEWAY_SECRET_FILE")


def test_a_secret_set_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(LONG)
    problems = refused(
        monkeypatch, GATEWAY_SECRET=LONG, GATEWAY_SECRET_FILE=str(tmp_path / "secret")
    )
    assert ("GATEWAY_SECRET: set both directly and by GATEWAY_SECRET_FILE",) == problems


def test_memory_is_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = refused(monkeypatch, GATEWAY_STORE="memory", GATEWAY_WORKERS="2")
    assert ("GATEWAY_WORKERS: must be 1 with GATEWAY_STORE=memory",) == problems


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({}, "GATEWAY_S3_BUCKET: needed", id="no bucket"),
        pytest.param({"S3_ACCESS_KEY": "key"}, "both or none", id="a key without its secret"),
        pytest.param({"S3_SESSION_TOKEN": "token"}, "needs GATEWAY_S3_ACCESS_KEY", id="a token"),
        pytest.param({"ACCEL": "/_blobs"}, "/_s3, or off", id="the location of a disk"),
        pytest.param({"S3_BUCKET": "a/b"}, "must be a bucket's name", id="no name"),
        pytest.param({"S3_PREFIX": "a b"}, "must be empty or look like", id="no prefix"),
        pytest.param({"S3_ENDPOINT": "s3.test"}, "must be an http", id="no address"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_complained_of(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    known = {f"GATEWAY_{name}": value for name, value in settings.items()}
    assert any(said in p for p in refused(monkeypatch, GATEWAY_STORE="s3", **known))


def test_a_password_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = refused(monkeypatch, GATEWAY_ADMIN_PASSWORD="long enough")
    assert ("GATEWAY_ADMIN_EMAIL: needed beside GATEWAY_ADMIN_PASSWORD",) == problems


def test_secrets_are_those_that_open_doors() -> None:
    rotated = ("SECRET", "TRUSTED_PROXY_SECRET", "LOSANT_SIGNING_SECRET")
    bucket = ("S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_SESSION_TOKEN")
    alone = ("DATABASE_URL", "DATABASE_DIRECT_URL", "ADMIN_PASSWORD", "OPERATIONS_TOKEN")
    names = (*alone, "LINK_SECRET", *bucket, *rotated, *(f"{name}_PREVIOUS" for name in rotated))
    assert {f"GATEWAY_{name}" for name in names} == set(secret_variables(groups_of()))


def test_effective_settings_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SECRET", LONG)
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql://me:hunter2@db/x")
    lines = shown(read_configuration())
    assert LONG not in lines.values()
    assert "hunter2" not in "".join(lines.values())
    assert "8080" == lines["GATEWAY_PORT"]
    assert "86400" == lines["GATEWAY_ORPHAN_GRACE_SECONDS"]


def test_misspelt_variables_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GATEWAY_PROT", "8080")
    monkeypatch.setenv("GATEWAY_SECRET_FILE", str(tmp_path / "secret"))
    (tmp_path / "secret").write_text(LONG)
    monkeypatch.setenv("GATEWAY_HASURA_POLICY", "public")
    monkeypatch.setenv("GATEWAY_PORT_FILE", "only secrets come from files")
    assert ("GATEWAY_PORT_FILE", "GATEWAY_PROT") == read_configuration(GROUPS).unknown


def test_a_worker_gets_the_change_and_not_the_file_it_replaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL_FILE", "/run/secrets/dsn")
    environment = child_environment({"GATEWAY_DATABASE_URL": "postgresql://x"})
    assert "postgresql://x" == environment["GATEWAY_DATABASE_URL"]
    assert "" == environment["GATEWAY_DATABASE_URL_FILE"]


def test_the_secret_is_generated_once_for_everybody(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: load_secret(settings), range(64)))
    assert 1 == len(found)
    assert 0o600 == (tmp_path / "new/secret").stat().st_mode & 0o777
    assert ["secret"] == [path.name for path in (tmp_path / "new").iterdir()]


def test_a_damaged_secret_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    with pytest.raises(BadSettings):
        load_secret(Settings(data_dir=tmp_path))
    assert "" == (tmp_path / "secret").read_text()


def test_blobs_outlive_the_decisions_about_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """nginx may open a blob for as long as it acts on a decision."""
    problems = refused(monkeypatch, GATEWAY_ACCEL="/_blobs", GATEWAY_GARBAGE_GRACE_SECONDS="19.9")
    assert ["GATEWAY_GARBAGE_GRACE_SECONDS"] == [p.partition(":")[0] for p in problems]


@pytest.mark.parametrize(
    ("expected", "variables"),
    [
        pytest.param(True, {}, id="as it is tried out"),
        pytest.param(True, {"HOST": "localhost"}, id="loopback by name"),
        pytest.param(True, {"HOST": "::1"}, id="the other loopback"),
        pytest.param(False, {"HOST": "0.0.0.0"}, id="every address"),
        pytest.param(False, {"HOST": "192.0.2.1"}, id="one address"),
        pytest.param(False, {"HOST": "gateway.test"}, id="a name"),
        pytest.param(False, {"HOST": "unix:/run/s"}, id="a socket, which is for a proxy"),
        pytest.param(False, {"TRUSTED_PROXIES": "127.0.0.1/32"}, id="behind a proxy"),
        pytest.param(False, {"TRUSTED_PROXY_SECRET": LONG}, id="behind one that knows a secret"),
        pytest.param(True, {"HOST": "0.0.0.0", "OPEN_REGISTRATION": "True"}, id="opened"),
        pytest.param(False, {"OPEN_REGISTRATION": "off"}, id="closed"),
    ],
)
def test_registration_is_open_only_alone_on_loopback_unless_it_is_said(
    monkeypatch: pytest.MonkeyPatch, expected: bool, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"GATEWAY_{name}", value)
    assert expected == read_configuration().settings.registration_is_open


@pytest.mark.parametrize(
    ("expected", "variables"),
    [
        pytest.param(False, {}, id="as it is tried out"),
        pytest.param(False, {"OPEN_REGISTRATION": "true"}, id="open, on this machine alone"),
        pytest.param(False, {"HOST": "0.0.0.0"}, id="users are let in"),
        pytest.param(True, {"HOST": "0.0.0.0", "OPEN_REGISTRATION": "true"}, id="anybody"),
        pytest.param(
            True, {"TRUSTED_PROXIES": "unix", "OPEN_REGISTRATION": "1"}, id="anybody, by a proxy"
        ),
        pytest.param(True, {"WEBHOOK_CONFIRMATION": "yes"}, id="it is wanted"),
        pytest.param(
            False,
            {"HOST": "::", "OPEN_REGISTRATION": "true", "WEBHOOK_CONFIRMATION": "no"},
            id="it is not",
        ),
    ],
)
def test_hosts_of_webhooks_confirm_where_anybody_may_come_from_elsewhere(
    monkeypatch: pytest.MonkeyPatch, expected: bool, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"GATEWAY_{name}", value)
    assert expected == read_configuration().settings.hosts_confirm


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            ("WEBHOOK_HOSTS", value)
            for value in ("http://a.test", "a.test/", "*", "*a.test", "a b")
        ],
        *[
            ("WEBHOOK_NAMESERVERS", value)
            for value in ("dns.test", "1.2.3", "10.0.0.1:x", "[a]:53")
        ],
        *[("WEBHOOK_BYTES_PER_HOUR", value) for value in ("1", "15MiB", "-1")],
    ],
)
def test_what_is_wrong_about_webhooks_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    [problem] = refused(monkeypatch, **{f"GATEWAY_{name}": value})
    assert problem.startswith(f"GATEWAY_{name}")


def test_hosts_and_nameservers_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_WEBHOOK_HOSTS", "ERP.example.com, *.example.org,8.8.8.8")
    monkeypatch.setenv("GATEWAY_WEBHOOK_NAMESERVERS", "10.0.0.53,10.0.0.54:5353,[fd00::53]:53")
    settings = read_configuration().settings
    assert ("erp.example.com", "*.example.org", "8.8.8.8") == settings.webhook_hosts
    assert ("10.0.0.53", "10.0.0.54:5353", "[fd00::53]:53") == settings.webhook_nameservers


def test_openness_is_one_of_three_words(monkeypatch: pytest.MonkeyPatch) -> None:
    [problem] = refused(monkeypatch, GATEWAY_OPEN_REGISTRATION="perhaps")
    assert problem.startswith("GATEWAY_OPEN_REGISTRATION: ")

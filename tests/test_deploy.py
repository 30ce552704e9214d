"""The files in ``deploy/`` fit the code and each other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings.core import Settings, read_configuration, shown
from gateway.settings.sources import secret_variables, variable_of
from tests.tools.deployment import groups_of
from tests.tools.nginx import ACCEL, nginx_binary, render
from tests.tools.ports import free_port

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
MIB = 1024**2
DATA_DIR = "/var/lib/filestore-gateway"
VARIABLES = {variable_of(group, name) for group in groups_of() for name in group.model_fields}
SECRET_FILES = {f"{variable}_FILE" for variable in secret_variables(groups_of())}


def env_lines(*, commented: bool) -> list[tuple[str, str]]:
    """The settings of the example: those that are the default, or those that are set."""
    text = (DEPLOY / "gateway.env.example").read_text(encoding="utf-8")
    mark = "#" if commented else ""
    return re.findall(rf"^{mark}(GATEWAY_\w+)=(.*)$", text, re.MULTILINE)


def unit() -> dict[str, list[str]]:
    """The service's directives."""
    found: dict[str, list[str]] = {}
    text = (DEPLOY / "systemd" / "filestore-gateway.service").read_text(encoding="utf-8")
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def compose() -> dict[str, Any]:
    """The composition; what is in it is checked where it is used."""
    document: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))
    return document


def nginx_text() -> str:
    """Every nginx file, without its comments."""
    texts = (file.read_text(encoding="utf-8") for file in sorted((DEPLOY / "nginx").iterdir()))
    return "\n".join(re.sub(r"#.*", "", text) for text in texts)


def nginx_values(directive: str) -> list[str]:
    """What a directive is set to, wherever it is."""
    return re.findall(rf"^\s*{directive}\s+([^;]+);", nginx_text(), re.MULTILINE)


def seconds(value: str) -> float:
    """``90``, ``60s`` or ``2m`` as seconds."""
    number, unit_of = re.fullmatch(r"(\d+)([sm]?)", value).groups()  # type: ignore[union-attr]
    return float(number) * (60 if unit_of == "m" else 1)


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES | SECRET_FILES | {"GATEWAY_ENV_FILE"}:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("edge", [False, True], ids=["as it is", "edge mode"])
@pytest.mark.parametrize("told", [False, True], ids=["untold", "telling"])
def test_nginx_accepts_the_configuration_without_a_warning(
    tmp_path: Path, edge: bool, told: bool
) -> None:
    conf = render(
        tmp_path,
        port=10240,
        upstream="127.0.0.1:8080",
        blobs=tmp_path,
        edge=edge,
        log_socket=tmp_path / "nginx.sock" if told else None,
    )
    finished = subprocess.run(
        [nginx_binary(), "-t", "-p", tmp_path, "-c", conf, "-e", tmp_path / "error.log"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "[warn]" not in finished.stderr


def test_every_file_that_nginx_includes_is_there() -> None:
    text = "".join(f.read_text() for f in (DEPLOY / "nginx").glob("*.conf"))
    marked = re.findall(r"#(?:edge|s3) include ([^;]+);", text)
    assert {f.name for f in (DEPLOY / "nginx").iterdir()} == {
        *nginx_values("include"),
        *marked,
        "filestore_edge.lua",
        "nginx.conf",
    }


def test_the_example_has_every_setting_once() -> None:
    names = [n for n, _ in env_lines(commented=True) + env_lines(commented=False)]
    assert sorted(VARIABLES) == sorted(names)


def test_what_the_example_leaves_commented_out_is_the_default(no_environment: None) -> None:
    defaults = shown(read_configuration(groups_of()[1:]))
    assert {n: defaults[n] for n, _ in env_lines(commented=True)} == dict(env_lines(commented=True))


def test_the_example_can_be_used_as_it_is(
    no_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env_lines(commented=False):
        monkeypatch.setenv(name, value)
    settings = read_configuration(groups_of()[1:]).settings
    assert settings.accel == ACCEL
    assert not settings.registration_is_open
    assert str(settings.data_dir) == DATA_DIR


def test_nobody_registers_where_it_is_deployed_unless_it_is_opened() -> None:
    """Said, and not left to what ``auto`` makes of the rest."""
    said = "GATEWAY_OPEN_REGISTRATION"
    assert dict(env_lines(commented=False))[said] == "false"
    assert compose()["services"]["gateway"]["environment"][said] == "false"


def test_the_internal_location_has_one_name_everywhere() -> None:
    assert [f"X-Filestore-Accel {ACCEL}$filestore_padded"] == [
        v for v in nginx_values("proxy_set_header") if v.startswith("X-Filestore-Accel")
    ]
    assert f"location {ACCEL}/ {{" in nginx_text()
    assert compose()["services"]["gateway"]["environment"]["GATEWAY_ACCEL"] == ACCEL


def test_the_data_directory_is_the_same_everywhere() -> None:
    assert {v.partition("$")[0] for v in nginx_values("alias")} == {f"{DATA_DIR}/blobs/"}
    assert nginx_values("disable_symlinks") == [f"on from={DATA_DIR}/blobs"]
    assert unit()["StateDirectory"] == [Path(DATA_DIR).name]
    assert f"GATEWAY_DATA_DIR={DATA_DIR}" in (COMPOSE / "Dockerfile").read_text()
    volumes = {name: s.get("volumes", []) for name, s in compose()["services"].items()}
    assert f"data:{DATA_DIR}" in volumes["gateway"]
    assert f"data:{DATA_DIR}:ro" in volumes["nginx"]


def test_whoever_waits_for_another_waits_longer(no_environment: None) -> None:
    """nginx for the gateway's hook and database, the gateway for nginx's idle connections, systemd for a shutdown."""
    settings = Settings()
    [upstream_idle] = re.findall(
        r"upstream [^}]*keepalive_timeout\s+(\w+);", nginx_text(), re.DOTALL
    )
    [reading] = set(nginx_values("proxy_read_timeout"))
    [stopping] = unit()["TimeoutStopSec"]
    grace = compose()["services"]["gateway"]["stop_grace_period"]
    assert seconds(upstream_idle) < settings.keepalive_seconds
    assert seconds(reading) > 2 * settings.hook_timeout_seconds + settings.database_wait_seconds
    assert seconds(reading) > settings.stall_seconds
    assert seconds(stopping) > settings.shutdown_seconds
    assert seconds(grace) > settings.shutdown_seconds


@pytest.mark.parametrize(
    ("directive", "expected"),
    [
        ("User", "filestore"),
        ("Group", "filestore-blobs"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateDevices", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("StateDirectoryMode", "0750"),
        ("UMask", "0027"),
        ("Restart", "on-failure"),
        ("RestartPreventExitStatus", "2"),
        ("LimitNOFILE", "65536"),
        ("ExecStart", "/opt/filestore-gateway/bin/filestore-gateway serve"),
    ],
)
def test_the_service_is_confined_and_comes_back(directive: str, expected: str) -> None:
    assert unit()[directive] == [expected]


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With a program that is here in place of the installed one."""
    text = (DEPLOY / "systemd" / "filestore-gateway.service").read_text(encoding="utf-8")
    here = tmp_path / "filestore-gateway.service"
    here.write_text(text.replace("/opt/filestore-gateway/bin/filestore-gateway", "/bin/true"))
    held = tmp_path / "filestore-gateway.socket"
    held.write_text((DEPLOY / "systemd" / "filestore-gateway.socket").read_text("utf-8"))
    said = subprocess.run(
        ["systemd-analyze", "verify", here, held], capture_output=True, text=True, check=False
    )
    assert (0, "") == (said.returncode, said.stdout + said.stderr)
    scored = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", here],
        capture_output=True,
        text=True,
        check=False,
    )
    assert scored.returncode == 0, scored.stdout[-300:] + scored.stderr


def test_sysusers_makes_the_user_and_lets_nginx_read(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "passwd").write_text("www-data:x:33:33::/var/www:/bin/false\n")
    (folder / "group").write_text("www-data:x:33:\n")
    subprocess.run(
        [
            "systemd-sysusers",
            f"--root={tmp_path}",
            DEPLOY / "systemd/filestore-gateway.sysusers.conf",
        ],
        capture_output=True,
        check=True,
    )
    group = re.search(r"^filestore-blobs:x:\d+:(.*)$", (folder / "group").read_text(), re.MULTILINE)
    assert group is not None
    assert {"filestore", "www-data"} == set(group[1].split(","))
    assert ":/var/lib/filestore-gateway:" in (folder / "passwd").read_text()


def test_the_composition_is_one_by_its_specification() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec",
         COMPOSE / "compose.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_bounds_of_memory_hold_what_may_be_under_way(no_environment: None) -> None:
    """What each takes at most is measured by ``make memory`` and in the benchmarks' rows 9 and 10."""
    settings = Settings()
    most = settings.max_concurrent_uploads * 2 * MIB
    most += settings.max_concurrent_requests * 16 * 1024 + 256 * MIB
    [unit_s] = unit()["MemoryMax"]
    assert most < int(unit_s.removesuffix("G")) * 1024 * MIB
    assert compose()["services"]["gateway"]["mem_limit"] == unit_s.lower()


def test_the_image_s_health_check_asks_whether_it_can_serve() -> None:
    """It is the command of the image itself, run here beside nobody."""
    text = (COMPOSE / "Dockerfile").read_text(encoding="utf-8")
    said = re.search(r"HEALTHCHECK .*\\\n +CMD (\[.*\])", text)
    assert said is not None
    program, *arguments = json.loads(said[1])
    assert "python" == program
    assert "http://127.0.0.1:8080/ready" in arguments[-1]
    elsewhere = arguments[-1].replace(":8080/", f":{free_port()}/")
    done = subprocess.run([sys.executable, "-c", elsewhere], capture_output=True, check=False)
    assert (1, True) == (done.returncode, b"Connection refused" in done.stderr)


def test_the_composition_names_only_settings_that_exist() -> None:
    environment = compose()["services"]["gateway"]["environment"]
    assert set(environment) <= VARIABLES | SECRET_FILES


def test_the_composition_holds_together() -> None:
    document = compose()
    services = document["services"]
    assert int(services["postgres"]["image"].removeprefix("postgres:")) >= 16
    used = {name for service in services.values() for name in service.get("secrets", [])}
    assert set(document["secrets"]) == used
    assert services["nginx"]["depends_on"]["gateway"]["condition"] == "service_healthy"
    address = services["gateway"]["networks"]["inside"]["ipv4_address"]
    assert f"server {address}:8080;" in (COMPOSE / "filestore-upstream.conf").read_text()
    proxy = services["nginx"]["networks"]["inside"]["ipv4_address"]
    assert services["gateway"]["environment"]["GATEWAY_TRUSTED_PROXIES"] == f"{proxy}/32"


def test_the_composition_mounts_every_nginx_file() -> None:
    mounts = [v.split(":") for v in compose()["services"]["nginx"]["volumes"] if v.startswith(".")]
    assert all((COMPOSE / source).is_file() for source, _, _ in mounts)
    assert {f"/etc/nginx/{f.name}" for f in (DEPLOY / "nginx").iterdir()} == {
        t for _, t, _ in mounts
    }


def test_the_image_is_built_from_what_is_there_and_runs_as_nobody_special() -> None:
    text = (COMPOSE / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    metadata = {"setup.cfg", "pyproject.toml", "requirements.lock", "README.md", "LICENSE"}
    assert sources == metadata | {"gateway", "sql"}
    assert "--require-hashes -r requirements.lock" in text
    assert all((ROOT / source).exists() for source in sources)
    assert {s for s in _dockerignore() if s.startswith("!")} == {f"!{s}" for s in sources}
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE)[-1].endswith("-slim")
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["10001:10001"]
    assert compose()["services"]["nginx"]["user"].endswith(":10001")


def _dockerignore() -> list[str]:
    return (COMPOSE / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")

"""The compose files fit the rest of the house: what they mount, set and call is there.

They are read, not run: no Docker is wanted for the tests.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no stubs

from hub.settings import Settings

DOCKER = Path(__file__).resolve().parent.parent / "docker"
WRITTEN_BY_INIT = {".env", "onethread.toml"}
SCALED = "compose.scaled.yaml"


def read(name: str) -> dict[str, Any]:
    found = yaml.safe_load((DOCKER / name).read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def services() -> dict[str, dict[str, Any]]:
    return dict(read(SCALED)["services"])


def hubs() -> dict[str, dict[str, Any]]:
    return {name: one for name, one in services().items() if one.get("image") == "onethread"}


def port_of(name: str) -> str:
    command = services()[name]["command"]
    return str(command[command.index("--port") + 1])


@pytest.mark.parametrize("name", ["compose.yaml", SCALED])
def test_what_is_mounted_is_there(name: str) -> None:
    compose = read(name)
    for service in compose["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if not source.startswith("."):
                assert source in compose["volumes"], mount
            elif Path(source).name not in WRITTEN_BY_INIT:
                assert (DOCKER / source).is_file(), mount
        if "build" in service:
            context = DOCKER / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).is_file()


def test_every_setting_in_the_environment_is_one() -> None:
    assert hubs()
    for service in hubs().values():
        values: dict[str, dict[str, Any]] = {}
        for name, value in service["environment"].items():
            section, setting = name.removeprefix("ONETHREAD_").lower().split("__")
            text = re.sub(r"\$\{.*?\}", "x", value)
            values.setdefault(section, {})[setting] = json.loads(text) if text[0] == "[" else text
        Settings.model_validate(values)  # refuses what is no setting


def test_every_variable_to_be_set_is_told_of() -> None:
    text = (DOCKER / SCALED).read_text("utf-8")
    told = text.partition("\nname:")[0]
    for name in set(re.findall(r"\$\{(\w+)", text)):
        assert f"{name}=" in told, name


def test_services_that_are_waited_for_can_say_that_they_are_ready() -> None:
    for name, service in services().items():
        needed = service.get("depends_on", {})
        assert set(needed) <= set(services()), name
        if isinstance(needed, dict):
            for other, how in needed.items():
                healthy = how["condition"] == "service_healthy"
                assert not healthy or "healthcheck" in services()[other], (name, other)


def test_each_hub_is_asked_on_its_own_port_whether_it_is_ready() -> None:
    for name, service in hubs().items():
        [url] = re.findall(r"http://[\w.:/]+", " ".join(service["healthcheck"]["test"]))
        assert url == f"http://127.0.0.1:{port_of(name)}/readyz"


def test_the_proxy_calls_every_web_process() -> None:
    text = (DOCKER / "caddy/Caddyfile").read_text("utf-8")
    webs = {f"{name}:{port_of(name)}" for name in hubs() if "serve" in hubs()[name]["command"]}
    assert len(webs) > 1
    calls = re.findall(r"reverse_proxy (.*) \{", text)
    assert calls
    for line in calls:
        assert set(line.split()) == webs
    assert set(re.findall(r"health_uri (\S+)", text)) == {"/healthz", "/readyz"}
    assert re.search(r"handle /metrics \{\s*respond 404", text)
    assert set(re.findall(r"\{\$(\w+)", text)) == set(services()["caddy"]["environment"])


def test_prometheus_asks_every_process() -> None:
    prometheus = read("prometheus/prometheus.yaml")
    [job] = prometheus["scrape_configs"]
    asked = {name: str(one["port"]) for one in job["dns_sd_configs"] for name in one["names"]}
    assert asked == {name: port_of(name) for name in hubs()}
    folder = "/etc/prometheus/"
    mounted = {mount.split(":")[1] for mount in services()["prometheus"]["volumes"]}
    assert {folder + name for name in prometheus["rule_files"]} <= mounted
    assert f"--config.file={folder}prometheus.yaml" in services()["prometheus"]["command"]


def test_grafana_finds_its_data_and_its_dashboard() -> None:
    [source] = read("grafana/datasource.yaml")["datasources"]
    assert source["type"] == "prometheus"
    name, _, port = source["url"].removeprefix("http://").partition(":")
    assert any(one.endswith(f":{port}") for one in services()[name]["ports"])
    [provider] = read("grafana/dashboards.yaml")["providers"]
    mounted = {mount.split(":")[1] for mount in services()["grafana"]["volumes"]}
    assert f"{provider['options']['path']}/onethread.json" in mounted

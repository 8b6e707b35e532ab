"""docker-compose.yml keeps the platform's promises, whatever is added to it."""

from __future__ import annotations

import re

from services.cli.commands.init import SECRETS, service_settings
from services.core.auth.service_credentials import COMPOSE_CALLERS, RECEIVERS
from services.core.settings import CHECKOUT
from tests.unit.compose.platform import ONE_SHOT, Platform


def test_every_variable_is_explained_in_the_example_file(platform: Platform) -> None:
    explained = set(re.findall(r"^(?:# )?([A-Z_]+)=", (CHECKOUT / ".env.example").read_text(), flags=re.MULTILINE))
    assert platform.variables() - explained == set()


def test_every_secret_is_required_and_init_makes_it(platform: Platform) -> None:
    made = (set(SECRETS) | set(service_settings("any"))) - {"VIGIE_SERVICE_TOKEN"}
    assert platform.required() == made
    assert [name for name in made if re.search(rf"\$\{{{name}(?!:\?run \./vigie init\}})", platform.text)] == []


def test_no_secret_has_a_value_in_the_example_file() -> None:
    text = (CHECKOUT / ".env.example").read_text()
    assert [name for name in SECRETS if re.search(rf"^(?:# )?{name}=\S", text, flags=re.MULTILINE)] == []


def test_all_four_profiles_are_started_at_first(platform: Platform) -> None:
    profiles = {profile for service in platform.services.values() for profile in service["profiles"]}
    assert profiles == {"core", "orchestration", "monitoring", "grafana"}
    assert "\nCOMPOSE_PROFILES=core,orchestration,monitoring,grafana\n" in (CHECKOUT / ".env.example").read_text()


def test_only_the_edge_is_published_and_only_on_this_machine(platform: Platform) -> None:
    published = {name: service["ports"] for name, service in platform.services.items() if "ports" in service}
    assert published == {"edge": ["127.0.0.1:${VIGIE_EDGE_PORT:-8000}:8000"]}


def test_every_container_is_confined(platform: Platform) -> None:
    for name, service in platform.services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert service["init"] is True, name


def test_capabilities_are_added_where_a_public_image_needs_them_alone(platform: Platform) -> None:
    added = {name: set(service["cap_add"]) for name, service in platform.services.items() if "cap_add" in service}
    assert added == {
        "edge": {"NET_BIND_SERVICE"},
        "postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"},
    }


def test_every_container_has_limits_and_its_log_is_rotated(platform: Platform) -> None:
    for name, service in platform.services.items():
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert service["logging"]["options"]["max-size"], name
        assert service["stop_grace_period"], name


def test_what_lasts_is_restarted_and_says_whether_it_is_healthy(platform: Platform) -> None:
    for name, service in platform.lasting.items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name


def test_services_wait_until_what_they_need_is_healthy_or_done(platform: Platform) -> None:
    for name, service in platform.services.items():
        for needed, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            assert how == {"condition": wanted}, f"{name} needs {needed}"


def test_calls_are_answered_without_waiting_for_anything(platform: Platform) -> None:
    assert "depends_on" not in platform.services["prediction"]
    assert set(platform.services["edge"]["depends_on"]) == {"prediction"}


def test_every_one_shot_container_is_waited_for(platform: Platform) -> None:
    needed = {name for service in platform.services.values() for name in service.get("depends_on", {})}
    assert needed >= ONE_SHOT


def test_services_can_be_scaled(platform: Platform) -> None:
    for name, service in platform.services.items():
        assert "container_name" not in service, name
        assert "hostname" not in service, name


def test_networks_are_inside_but_for_the_edges_and_for_downloads(platform: Platform) -> None:
    outside = {name for name, network in platform.content["networks"].items() if not (network or {}).get("internal")}
    assert outside == {"public", "outside"}
    on = {name: set(service["networks"]) for name, service in platform.services.items()}
    assert {name for name, networks in on.items() if "public" in networks} == {"edge"}
    assert {name for name, networks in on.items() if "outside" in networks} == {
        "ingestion",
        "prediction",
        "alertmanager",  # the mail server
    }
    assert {name for name, networks in on.items() if "database" in networks}.isdisjoint(
        {"edge", "prometheus", "alertmanager", "grafana"}
    )


def test_nothing_of_the_machine_is_mounted_but_settings_to_read(platform: Platform) -> None:
    mounted = [v for service in platform.services.values() for v in service.get("volumes", []) if v[0] in "./~$"]
    assert all(volume.startswith("./") and volume.endswith(":ro") for volume in mounted), mounted
    assert "docker.sock" not in platform.text


def test_a_secret_is_known_to_those_who_need_it_alone(platform: Platform) -> None:
    assert platform.knows("VIGIE_POSTGRES_PASSWORD") == {"postgres"}
    assert platform.knows("VIGIE_REGISTRY_DATABASE_PASSWORD") == {"postgres", "registry"}
    assert platform.knows("VIGIE_GATEWAY_ADMIN_PASSWORD") == {"gateway"}
    assert platform.knows("VIGIE_GATEWAY_KEY_ENCRYPTION") == {"gateway"}
    assert platform.knows("VIGIE_REGISTRY_ADMIN_PASSWORD") == {"registry"}
    assert platform.knows("VIGIE_REGISTRY_WRITER_PASSWORD") == {"ingestion", "preprocessing", "training", "registry"}
    assert platform.knows("VIGIE_AIRFLOW_PASSWORD") == {"gateway", "airflow-api"}


def test_every_container_has_its_own_credential_for_other_services_alone(platform: Platform) -> None:
    """With the platform's token, or with that of another one, it could call as anybody."""
    assert "${VIGIE_SERVICE_TOKEN:" not in platform.text
    assert "${VIGIE_SERVICE_TOKEN}" not in platform.text
    for name, service in platform.services.items():
        owner = "airflow" if name.startswith("airflow-") else name
        wanted = {f"VIGIE_SERVICE_TOKEN_{owner.upper()}"} if owner in COMPOSE_CALLERS else set()
        assert set(re.findall(r"\$\{(VIGIE_SERVICE_TOKEN\w*)", str(service))) == wanted, name
        if wanted:
            assert "VIGIE_SERVICE_TOKEN" in service["environment"], name


def test_services_that_are_called_know_which_credentials_count(platform: Platform) -> None:
    called = {receiver for caller in COMPOSE_CALLERS for receiver in RECEIVERS[caller]}
    assert called <= platform.knows("VIGIE_SERVICE_CALLERS")


def test_images_are_built_from_the_one_dockerfile_or_public(platform: Platform) -> None:
    for name, service in platform.services.items():
        assert ("build" in service) == service["image"].startswith("vigie/"), name


def test_every_module_that_a_container_runs_is_there(platform: Platform) -> None:
    lists = [service.get("command", []) for service in platform.services.values()]
    lists += [service.get("healthcheck", {}).get("test", []) for service in platform.services.values()]
    modules = {words[words.index("-m") + 1] for words in lists if "-m" in words}
    assert len(modules) >= 10
    for module in modules:
        path = CHECKOUT / module.replace(".", "/")
        assert (path / "__main__.py").is_file() or path.with_suffix(".py").is_file(), module


def test_the_engine_is_sent_only_what_is_named() -> None:
    lines = [line for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    assert {line for line in lines if line[0] == "!"} == {
        "!requirements/*.txt",
        "!services/**",
        "!deploy/edge/**",
        "!airflow/**",
        "!dvc.yaml",
        "!params.yaml",
        "!.dvcignore",
    }
    assert "**/.env*" in lines


def test_no_proxy_stands_between_parts_whose_own_clients_would_use_one(platform: Platform) -> None:
    """Caddy and Grafana read the environment's proxies; the platform's programs do not (tests/integration/core)."""
    asked = {"prediction", "gateway", "dashboard", "registry", "airflow-api", "prometheus", "alertmanager", "grafana"}
    for name in ("edge", "grafana"):
        given = platform.services[name]["environment"]
        assert asked <= set(given["NO_PROXY"].partition("$")[0].split(","))
        assert given["no_proxy"] == given["NO_PROXY"]

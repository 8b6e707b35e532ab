"""The images: small, unprivileged, without secrets and without tools that a running service has no use for."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from services.core.settings import CHECKOUT

pytestmark = pytest.mark.docker

PYTHON = ("serving", "ml", "airflow")
ALL = ("edge", *PYTHON)
TOOLS = ("pip", "pip3", "uv", "gcc", "cc", "g++", "make", "git")
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|(^|_)KEY($|_)|CREDENTIAL", re.IGNORECASE)
IMPORTS = {
    "serving": "services.prediction.app services.prediction.model_sync.mlflow_registry services.gateway.container "
    "services.core.database.migrate onnxruntime xgboost mlflow",
    "ml": "services.ingestion.stage.ingest services.preprocessing services.training services.registry.server "
    "services.core.model_registry.client "
    "dvc.repo mlflow.server sklearn.ensemble xgboost onnxruntime onnxmltools optuna",
    "airflow": "airflow.api_fastapi.execution_api.routes.task_instances services.core.use_case_registry "
    "psycopg2 asyncpg",
}


def in_image(name: str, *command: str, check: bool = True) -> str:
    line = ["docker", "run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]  # noqa: S108
    line += [f"vigie/{name}:local", *command]
    done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def inspected(name: str) -> dict[str, Any]:
    done = subprocess.run(["docker", "image", "inspect", f"vigie/{name}:local"], capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


@pytest.mark.usefixtures("images")
class TestImages:
    @pytest.mark.parametrize("name", ALL)
    def test_runs_as_an_unprivileged_user(self, name: str) -> None:
        assert inspected(name)["Config"]["User"] in {"vigie", "10001:10001"}

    @pytest.mark.parametrize("name", PYTHON)
    def test_the_user_has_a_name_and_may_not_write_to_the_code(self, name: str) -> None:
        script = "import getpass, os; print(getpass.getuser(), os.getuid(), *(os.access(p, os.W_OK) for p in PLACES))"
        script = script.replace("PLACES", "('/app', '/app/services', '/opt/venv')")
        assert in_image(name, "python", "-c", script).split() == ["vigie", "10001", "False", "False", "False"]

    @pytest.mark.parametrize("name", PYTHON)
    def test_what_the_services_need_can_be_imported(self, name: str) -> None:
        script = f"import importlib, sys; [importlib.import_module(m) for m in {IMPORTS[name].split()!r}]"
        in_image(name, "env", "AIRFLOW_HOME=/tmp/airflow", "HOME=/tmp", "python", "-c", script)

    @pytest.mark.parametrize("name", PYTHON)
    def test_has_no_tools_to_build_or_install_with(self, name: str) -> None:
        programs = f"import shutil; print([tool for tool in {TOOLS!r} if shutil.which(tool)])"
        modules = "import importlib.util as u; print([m for m in ('pip', 'ensurepip', 'uv') if u.find_spec(m)])"
        assert in_image(name, "python", "-c", programs).strip() == "[]"
        assert in_image(name, "python", "-c", modules).strip() == "[]"

    def test_serving_is_small(self) -> None:
        assert inspected("serving")["Size"] <= 700_000_000

    @pytest.mark.parametrize("name", ALL)
    def test_no_secret_in_environment_or_history(self, name: str) -> None:
        found = inspected(name)["Config"]
        named = [line for line in found["Env"] if SECRET_NAME.search(line.partition("=")[0])]
        history = subprocess.run(
            ["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", f"vigie/{name}:local"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert named == []
        assert not re.search(r"(PASSWORD|SECRET|TOKEN)=(?!none)\S+", history)

    @pytest.mark.parametrize("name", PYTHON)
    def test_no_file_of_the_checkout_that_is_no_code(self, name: str) -> None:
        names = ("-name", ".env*", "-o", "-name", "*.pem", "-o", "-name", "*.key", "-o", "-name", ".git", "-o")
        listed = in_image(name, "find", "/app", "/var/lib/vigie", *names, "-name", "*.db", "-o", "-name", "*.parquet")
        assert listed == ""
        assert set(in_image(name, "ls", "-A", "/app").split()) == {
            "services",
            "airflow",
            "dvc.yaml",
            "params.yaml",
            ".dvcignore",
        }

    @pytest.mark.parametrize("name", ALL)
    def test_no_value_of_this_checkouts_settings_is_inside(self, name: str) -> None:
        settings = CHECKOUT / ".env"
        if not settings.is_file():
            pytest.skip("this checkout has no .env")
        values = re.findall(
            r"^VIGIE_\w*(?:PASSWORD|SECRET|TOKEN|KEY\w*)=(\S{12,})$", settings.read_text(), re.MULTILINE
        )
        pattern = "|".join(map(re.escape, values))
        found = in_image(name, "grep", "-rlE", pattern, "/app" if name in PYTHON else "/srv", check=False)
        assert found == ""

    def test_no_certificate_authority_is_inside_the_edge(self) -> None:
        assert in_image("edge", "find", "/data", "/config", "-type", "f") == ""

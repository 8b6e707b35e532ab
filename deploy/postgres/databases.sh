#!/bin/bash
# Runs once, when the volume is empty: a database for each part that has one, each with a user of its own that
# nobody else's database lets in. Passwords come from the environment.
set -euo pipefail

make_database() { # NAME PASSWORD
  psql --quiet -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres -v name="$1" -v password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

make_database vigie "${VIGIE_DATABASE_PASSWORD:?}"
make_database mlflow "${VIGIE_REGISTRY_DATABASE_PASSWORD:?}"
make_database airflow "${VIGIE_AIRFLOW_DATABASE_PASSWORD:?}"

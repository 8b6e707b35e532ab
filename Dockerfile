# One Dockerfile for all images; the argument names the set of dependencies in requirements/:
#   serving   prediction, gateway, migrations
#   ml        ingestion, preprocessing, training, registry
#   dashboard the pages for people
#   airflow   orchestration
# The edge is a stage of its own: docker build --target edge.
#
#   docker build --build-arg SET=serving -t vigie/serving:local .

FROM python:3.11-slim-bookworm AS dependencies
ARG SET
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/venv PIP_CACHE_DIR=/var/cache/build/pip UV_CACHE_DIR=/var/cache/build/uv
COPY requirements/build.txt /requirements/
RUN --mount=type=cache,target=/var/cache/build \
    python -m venv /opt/build && /opt/build/bin/python -m pip install --quiet --require-hashes -r /requirements/build.txt
COPY requirements/${SET}.txt /requirements/
RUN --mount=type=cache,target=/var/cache/build \
    /opt/build/bin/uv venv --quiet "$VIRTUAL_ENV" \
    && /opt/build/bin/uv pip sync --quiet --require-hashes --strict "/requirements/${SET}.txt"
# Tests, headers, type stubs and converters that packages carry are never read here; ONNX Runtime's library for
# C programs is there a second time in the one that Python loads; AVIF is no format of ours. The last line tries what was cut.
RUN cd "$VIRTUAL_ENV/lib/python3.11/site-packages" \
    && find . -type d \( -name tests -o -name test \) ! -path './airflow/*' -prune -exec rm -rf {} + \
    && find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.c' -o -name '*.cc' -o -name '*.a' \) -delete \
    && rm -rf PIL/_avif.* pillow.libs/libavif-* \
    && rm -rf onnxruntime/transformers onnxruntime/tools onnxruntime/quantization onnxruntime/capi/libonnxruntime.so.* sqlalchemy/testing \
    && if [ "$SET" = serving ]; then rm -rf sqlalchemy/dialects/mssql sqlalchemy/dialects/mysql sqlalchemy/dialects/oracle watchfiles; fi \
    && "$VIRTUAL_ENV/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash -x 'databricks/sdk/service|/templates/' .

FROM caddy:2 AS edge
COPY deploy/edge/Caddyfile /etc/caddy/Caddyfile
COPY deploy/edge/start.sh /usr/local/bin/vigie-edge
COPY deploy/edge/site /srv/site
RUN XDG_DATA_HOME=/tmp/tried VIGIE_EDGE_REGISTRY_LOGIN=none caddy validate --config /etc/caddy/Caddyfile --adapter caddyfile \
    && rm -rf /tmp/tried && mkdir -p /data /config /srv/baseline && chown 10001:10001 /data /config /srv/baseline
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/tmp HOME=/tmp
USER 10001:10001
CMD ["/usr/local/bin/vigie-edge"]

FROM python:3.11-slim-bookworm
ARG SET
# The base image brings its own installers; what runs here installs nothing.
RUN python -m pip uninstall --quiet --yes setuptools wheel pip \
    && rm -rf /usr/lib/python3*/ensurepip /usr/local/lib/python3*/ensurepip /usr/local/bin/pip* /usr/bin/pip* \
    && groupadd --gid 10001 vigie \
    && useradd --uid 10001 --gid vigie --home-dir /var/lib/vigie --shell /usr/sbin/nologin --no-create-home vigie \
    && install -d -o vigie -g vigie -m 0750 /var/lib/vigie /var/lib/airflow /var/lib/airflow/logs /var/lib/vigie/registry /var/lib/vigie/baseline
COPY --from=dependencies /opt/venv /opt/venv
# Nothing here reports its use to anybody: ONNX Runtime's Linux builds do so from 1.29 on unless told otherwise.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VIGIE_HOME=/var/lib/vigie \
    ORT_DISABLE_TELEMETRY=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    DO_NOT_TRACK=1 \
    DVC_NO_ANALYTICS=1 \
    GIT_PYTHON_REFRESH=quiet
WORKDIR /app
COPY . /app
RUN rm -rf /app/requirements /app/deploy && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /app/services
# By its number: what decides on "not as root" before a start knows no names.
USER 10001:10001
LABEL org.opencontainers.image.title="vigie-${SET}" org.opencontainers.image.licenses="MIT"

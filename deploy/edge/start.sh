#!/bin/sh
# Starts the edge. It shows the registry an account that may only read; a header needs it in base64.
set -eu
VIGIE_EDGE_REGISTRY_LOGIN=$(printf 'reader:%s' "${VIGIE_REGISTRY_READER_PASSWORD:?}" | base64 | tr -d '\n')
export VIGIE_EDGE_REGISTRY_LOGIN
unset VIGIE_REGISTRY_READER_PASSWORD
# The edge's own authority signs here and is trusted elsewhere: by the centre's machines, not by this container.
if [ "${VIGIE_EDGE_TLS:-off}" = internal ]; then
  export VIGIE_EDGE_OPTION=skip_install_trust
fi
exec caddy run --config /etc/caddy/Caddyfile --adapter caddyfile

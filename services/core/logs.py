"""Configures structured logging: one JSON object a line, with the request id and without personal data."""

from __future__ import annotations

import logging
import sys

import structlog

from services.core.settings import settings


def configure_logging(service: str, *, level: str | None = None, log_format: str | None = None) -> None:
    """Send structlog and the standard library's loggers to standard error in one format; level and format default to
    the settings."""
    chosen = settings()
    as_json = (log_format or chosen.log_format) == "json"
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Without local variables: they contain callers' data.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
        if as_json
        else structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level or chosen.log_level)
    # Each service logs the requests that it answers; client-side log lines for the same requests are noise.
    logging.getLogger("httpx").setLevel(max(root.level, logging.WARNING))
    structlog.contextvars.bind_contextvars(service=service)

"""Until when a TLS server's certificate is good."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime

from cryptography import x509


def expiry(place: str, name: str, seconds: float) -> datetime:
    """When the certificate ends that the server at ``place`` (``host:port``) shows for ``name``. Whether it is trusted
    is not asked: an authority of one's own is as good here, and one that has ended has to be seen too.

    Raises:
        OSError: no answer, or no TLS.
        ValueError: ``place`` has no port, or the certificate cannot be read.
    """
    host, _, port = place.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), timeout=seconds) as connection,
        context.wrap_socket(connection, server_hostname=name) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    if shown is None:
        raise ValueError("no certificate was shown")
    return x509.load_der_x509_certificate(shown).not_valid_after_utc

"""A certificate authority of the test's own, and a server certificate for loopback from it."""

import ssl
from pathlib import Path

import trustme


class Authority:
    """Files of one authority: `ca` to trust, `certificate` (with its key) to show."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        self.ca, self.certificate = str(folder / "ca.pem"), str(folder / "server.pem")
        authority.cert_pem.write_to_path(self.ca)
        issued.private_key_and_cert_chain_pem.write_to_path(self.certificate)

    def server_context(self) -> ssl.SSLContext:
        """Return what a server shows."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate)
        context.num_tickets = 0  # their reading beside a write is what Python's TLS in two threads trips over
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return what a client trusts."""
        context = ssl.create_default_context(cafile=self.ca)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # no tickets after the handshake, see above
        return context

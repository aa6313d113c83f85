"""A listener of a test's Kafka that wants TLS and a password, beside the plain one."""

from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from private_authority import Authority

USER, PASSWORD = "collector", "a-password-for-loopback"
_MODULES = "org.apache.kafka.common.security"
_PLAIN_LOGIN = f'{_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
_SCRAM_LOGIN = f"{_MODULES}.scram.ScramLoginModule required;"


class SecureListener:
    """The broker's settings for it; `authority.ca` is what a client has to trust."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)

    def properties(self) -> dict[str, str]:
        """Return them: the certificate and its key are in them, no file has to be found."""
        chain = Path(self.authority.certificate).read_bytes()
        key = load_pem_private_key(chain, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        certificates = chain[chain.index(b"-----BEGIN CERTIFICATE") :]
        return {
            "listener.security.protocol.map": "SECURE:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listener.name.secure.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
            "listener.name.secure.plain.sasl.jaas.config": _PLAIN_LOGIN,
            "listener.name.secure.scram-sha-256.sasl.jaas.config": _SCRAM_LOGIN,
            "listener.name.secure.ssl.keystore.type": "PEM",
            "listener.name.secure.ssl.keystore.key": _one_line(key),
            "listener.name.secure.ssl.keystore.certificate.chain": _one_line(certificates),
        }


def _one_line(pem: bytes) -> str:
    return pem.decode().strip().replace("\n", "\\n")

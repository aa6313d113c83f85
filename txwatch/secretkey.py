"""A key among the settings: 256 random bits in hexadecimal, as `txwatch init` draws them."""

from txwatch.errors import ConfigurationError

LEAST_BYTES = 32


def secret_key(name: str, digits: str) -> bytes:
    """Return the key of a setting; raises ConfigurationError where it is too short or not hexadecimal."""
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if len(key) < LEAST_BYTES:
        raise ConfigurationError(f"{name} is not 64 hexadecimal digits; `txwatch init` draws one")
    return key

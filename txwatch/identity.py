"""Who runs this command: the account under which the operating system knows the process."""

import os
import pwd


def account() -> str:
    """Return the account's name, its number where it has none; variables such as LOGNAME are not asked."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"

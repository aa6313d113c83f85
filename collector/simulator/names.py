"""The ids of the world: readable for users and merchants, without a pattern for what a thief may bring.

A strange device, card or address looks like any other, so that no id gives a fraud away.
"""

import numpy as np
import polars as pl

from collector.simulator.places import Ints
from collector.simulator.rows import STRANGE

DIGITS = 10
DEVICE_FACTOR, CARD_FACTOR = 2_654_435_769, 2_246_822_519
"""Share no factor with 10, so that multiplying modulo 10 ** DIGITS or ADDRESSES keeps numbers apart."""
ADDRESSES = 1 << 24
STRANGE_ADDRESS = ADDRESSES // 2
OWN_EACH = 2
"""Devices and cards that a user may have."""


class Names:
    """The ids of all inhabitants, made once and looked up a day at a time."""

    def __init__(self, users: int, merchants: int) -> None:
        everybody, own = np.arange(users), np.arange(users * OWN_EACH)
        self.users = numbered("u", everybody, 6)
        self.merchants = numbered("m", np.arange(merchants), 4)
        self._devices = scrambled("d", own, DEVICE_FACTOR)
        self._cards = scrambled("c", own, CARD_FACTOR)
        self._addresses = addresses(everybody)

    def devices(self, user: Ints, device: Ints) -> pl.Series:
        """Return the device of each row; any for NO_DEVICE."""
        strange = scrambled("d", _strange(device), DEVICE_FACTOR)
        return _look_up(self._devices, _own(user, device), strange, device)

    def cards(self, user: Ints, card: Ints) -> pl.Series:
        """Return the card of each row."""
        strange = scrambled("c", _strange(card), CARD_FACTOR)
        return _look_up(self._cards, _own(user, card), strange, card)

    def addresses(self, user: Ints, device: Ints) -> pl.Series:
        """Return the IP address of each row: the user's, or that of a strange device."""
        theirs = (_strange(device) - STRANGE) % STRANGE_ADDRESS + STRANGE_ADDRESS
        return _look_up(self._addresses, user, addresses(theirs), device)


def numbered(letter: str, numbers: Ints, digits: int) -> pl.Series:
    """Return ids like u000123."""
    padded = pl.Series(numbers).cast(pl.String).str.zfill(digits)
    return (letter + padded).alias("id")


def scrambled(letter: str, numbers: Ints, factor: int) -> pl.Series:
    """Return ids like c0482193320, another for each number."""
    return numbered(letter, numbers * factor % 10**DIGITS, DIGITS)


def addresses(numbers: Ints) -> pl.Series:
    """Return private IPv4 addresses, another for each number below ADDRESSES."""
    bits = pl.Series("bits", numbers * DEVICE_FACTOR % ADDRESSES).to_frame()
    parts = (pl.col("bits") // 65536, pl.col("bits") // 256 % 256, pl.col("bits") % 256)
    return bits.select(pl.format("10.{}.{}.{}", *parts).alias("id"))["id"]


def _own(user: Ints, number: Ints) -> Ints:
    found: Ints = user * OWN_EACH + np.clip(number, 0, OWN_EACH - 1)
    return found


def _strange(numbers: Ints) -> Ints:
    return numbers[numbers >= STRANGE]


def _look_up(own: pl.Series, index: Ints, strange: pl.Series, numbers: Ints) -> pl.Series:
    """Take each row's own id, or the next of the strange ones, which stand in the order of their rows."""
    theirs = numbers >= STRANGE
    if not theirs.any():
        return own.gather(index)
    beyond = len(own) + np.cumsum(theirs) - 1
    return pl.concat([own, strange]).gather(np.where(theirs, beyond, index))

"""Sketches estimate within their stated error, join without loss, and survive being packed."""

import numpy as np
import pytest

from collector.metrics import amounts, users
from collector.metrics.chosen import OTHER, Words

ERROR = 1.04 / np.sqrt(users.REGISTERS)


def registers_of(names):
    found = np.zeros(users.REGISTERS, dtype=np.uint8)
    register, rank = users.places(users.hashes(names))
    np.maximum.at(found, register, rank)
    return found


@pytest.mark.parametrize("count", [0, 1, 2, 10, 100, 1_000, 3_000, 10_000, 300_000])
@pytest.mark.parametrize("form", ["u{}", "user-{:08d}", "{:x}-acct"])
def test_distinct_users_are_estimated_within_four_standard_errors(count, form):
    """Few are counted exactly, many within the sketch's error, whatever ids look like."""
    estimate = users.estimate(registers_of([form.format(n) for n in range(count)]))

    assert abs(estimate - count) <= max(0 if count <= 10 else 3, 4 * ERROR * count)


def test_hashes_are_the_same_for_ever():
    """They are stored in sketches: another process, another version must agree."""
    assert users.hashes(["u1", "é"]).tolist() == [1919235982334182157, 9408558868896524476]


def test_joined_users_are_the_users_of_both():
    """The larger registers are the sketch of the union."""
    one, two = [f"u{n}" for n in range(500)], [f"u{n}" for n in range(250, 900)]

    joined = np.maximum(registers_of(one), registers_of(two))

    assert (joined == registers_of(sorted({*one, *two}))).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("scale", [0.01, 1.0, 1e9])
def test_percentiles_are_within_two_percent(share, scale):
    """Over fifteen orders of magnitude."""
    values = np.random.default_rng(3).lognormal(3, 1.5, 5001) * scale
    values = np.maximum(values, 0.01)
    bins = np.bincount(amounts.bin_of(values), minlength=amounts.BINS).astype(np.int32)

    found = amounts.quantile(bins, share)

    assert found == pytest.approx(np.quantile(values, share, method="lower"), rel=amounts.ACCURACY + 1e-9)


def test_nothing_and_no_amounts_are_told_apart():
    """Amounts of nothing have a median of nothing; no amounts have none."""
    bins = np.zeros(amounts.BINS, dtype=np.int32)
    assert amounts.quantile(bins, 0.5) is None
    bins[amounts.bin_of(np.array([0.0]))] += 1
    assert amounts.quantile(bins, 0.5) == 0.0
    assert amounts.bin_of(np.array([1e300]))[0] == amounts.BINS - 1


def test_packed_sketches_come_back_whole():
    """Byte by byte; a window with one user takes few bytes."""
    registers = registers_of([f"u{n}" for n in range(3000)])
    bins = np.bincount(amounts.bin_of(np.arange(1.0, 500.0)), minlength=amounts.BINS).astype(np.int32)

    assert (users.unpack(users.pack(registers)) == registers).all()
    assert (amounts.unpack(amounts.pack(bins)) == bins).all()
    assert len(users.pack(registers_of(["u1"]))) < 40
    assert len(amounts.pack(np.eye(1, amounts.BINS, 700, dtype=np.int32)[0])) < 20


def test_values_beyond_the_cap_are_others():
    """The first ones stay what they are, for good."""
    words = Words(2)
    codes = [words.values[n] for n in words.codes(["web", "pos", "atm", "web", "fax"])]
    again = [words.values[n] for n in Words(2, words.values[1:]).codes(["fax", "web"])]

    assert len({*codes} - {OTHER}) == 2
    assert set(again) <= {*codes, OTHER}

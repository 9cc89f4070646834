"""Random numbers keyed by content, so that changing one thing never shifts the draws of another."""

from __future__ import annotations

import hashlib

import numpy as np

_MASK = (1 << 64) - 1


def content_key(*parts: str | int) -> int:
    """64-bit key of an entity from its content (owner, venue, kind, ordinal), never from a row number."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def member_keys(group: str, count: int) -> np.ndarray:
    """Keys of the members 0..count-1 of a named group, shape (count,), uint64.

    A hashed group key combined with the ordinal by an odd multiplier, so a larger group keeps its first members.
    """
    base = np.uint64(content_key("member", group))
    return mix(base ^ (np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)))


def mix(value: np.ndarray) -> np.ndarray:
    """SplitMix64 finaliser (Steele, Lea and Flood 2014): a bijection of 64-bit words that passes BigCrush."""
    value = np.asarray(value, dtype=np.uint64)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


class Streams:
    """The random numbers of one run: every draw is a function of (seed, purpose, keys, draw number).

    Parameters
    ----------
    seed : int
        Seed of the run, any integer.
    mirrored : bool
        Give the antithetic draws: 1 - u for every uniform u, -z for every normal z.
    """

    def __init__(self, seed: int, *, mirrored: bool = False) -> None:
        self.seed, self.mirrored = int(seed) & _MASK, mirrored

    def generator(self, purpose: str, *keys: str | int) -> np.random.Generator:
        """A generator of its own for a purpose and keys, for example ``("prices", "BTC")``."""
        key = (content_key(purpose, *keys) << 64) | self.seed
        return (_Mirrored if self.mirrored else np.random.Generator)(np.random.Philox(key=key))

    def salt(self, purpose: str, step: int = 0) -> np.uint64:
        """Word that is combined with entity keys by :meth:`uniforms` (and by its compiled twin)."""
        return np.uint64(content_key(self.seed, purpose, step))

    def uniforms(self, purpose: str, keys: np.ndarray, step: int = 0) -> np.ndarray:
        """One uniform in (0, 1) per entity key, shape of `keys`; depends only on (seed, purpose, step, key)."""
        word = mix(mix(np.asarray(keys, dtype=np.uint64) ^ self.salt(purpose, step)))
        uniforms = ((word >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return 1.0 - uniforms if self.mirrored else uniforms


class _Mirrored(np.random.Generator):
    """Antithetic draws of the uniform and the normal distribution; other distributions, scales mostly, as they are."""

    def random(self, *arguments, **named):
        return np.nextafter(1.0, 0.0) - super().random(*arguments, **named)  # stays below 1

    def standard_normal(self, *arguments, **named):
        return -super().standard_normal(*arguments, **named)

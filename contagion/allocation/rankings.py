"""Who is deleveraged first: each ranking is a function of the columns it names, and the highest score goes first.

Columns (one value per candidate position, USD unless said otherwise): ``profit`` unrealised, ``cost`` at entry,
``notional`` at mark, ``equity`` of the account, ``maintenance`` requirement of the account, ``account_profit`` and
``account_notional`` over its positions, ``wallet`` (equity less unrealised profit), ``profit_share`` (profit / cost),
``leverage`` (account notional / equity), ``position_leverage`` (notional / equity), ``margin_ratio``
(maintenance / equity, 0 where equity is not positive). Every function also takes plain numbers.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import cache

import numpy as np

from contagion.errors import InputError


def pnl_leverage(profit_share, leverage):
    """Profit share times effective leverage of the account; a loss divided by it, so that losers come last."""
    return _up_or_down(profit_share, leverage)


def bitmex(profit_share, position_leverage):
    """The same with effective leverage ``mark value / (mark value - bankruptcy value)`` (BitMEX, auto-deleveraging).

    With the other positions held at mark, the denominator is the equity of the account.
    """
    return _up_or_down(profit_share, position_leverage)


def binance(account_profit, wallet, margin_ratio):
    """``max(0, unrealised profit) / max(1, wallet balance) * margin ratio`` (dev.binance.vision, topic 17801)."""
    return np.maximum(0.0, account_profit) / np.maximum(1.0, wallet) * margin_ratio


def hyperliquid(profit, notional, cost, equity):
    """``(mark / entry) * (notional / account value)`` on the profit side (Hyperliquid documentation).

    Reading: the ratio is that of the holder's better to worse price, so entry / mark for a short in profit; losers
    rank below every winner, the index ordering them too.
    """
    ratio = np.divide(notional, cost)
    with np.errstate(divide="ignore"):
        index = np.where(profit >= 0.0, np.maximum(ratio, 1.0 / ratio), np.minimum(ratio, 1.0 / ratio))
        index = index * np.divide(notional, equity)
        return np.where(profit >= 0.0, index, -1.0 / index)


def okx(profit, wallet, margin_ratio):
    """Return on margin over margin ratio for a winner, times it for a loser (OKX, isolated margin).

    OKX calls equity / maintenance the margin ratio; ``margin_ratio`` here is its inverse.
    """
    return _up_or_down(np.divide(profit, np.maximum(wallet, 1e-300)), margin_ratio)


def bybit(profit_share, position_leverage):
    """Leveraged return: profit share times effective leverage, for losers too (Bybit, auto-deleveraging)."""
    return np.multiply(profit_share, np.where(np.isfinite(position_leverage), position_leverage, 0.0))


def pro_rata(notional):
    """Everybody is equal: all candidates give the same share of their size."""
    return np.zeros_like(notional)


def _up_or_down(gain, risk):
    gain = np.asarray(gain, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.multiply(gain, risk)
        score = np.divide(gain, risk, out=np.asarray(score), where=gain < 0.0)
    score[gain == 0.0] = 0.0
    return score


RANKINGS: dict[str, Callable] = {
    rule.__name__: rule for rule in (pnl_leverage, bitmex, binance, hyperliquid, okx, pro_rata, bybit)
}

WEIGHTS: dict[str, str] = {"by_profit": "profit", "by_equity": "equity"}
"""Names of rules that are no queue: candidates give in proportion to this column, nobody more than its size."""

RANDOM_START = "random_start"
"""No ranking: candidates in the order of their keys, from a random place onwards (dYdX v4)."""


@cache
def ranking(name: str, also: tuple[str, ...] = ()) -> tuple[Callable, tuple[str, ...]]:
    """A ranking by name or ``module:function``, and the columns it takes.

    Parameters
    ----------
    also : tuple of str
        Other names that are accepted where this one was given, for the message.

    Raises
    ------
    InputError
        The name is neither built in nor importable.
    """
    rule = RANKINGS.get(name)
    if rule is None:
        module, _, function = name.partition(":")
        try:
            rule = getattr(importlib.import_module(module), function) if function else None
        except (ImportError, AttributeError):
            rule = None
    if not callable(rule):
        raise InputError("ranking", name, f"{', '.join((*RANKINGS, *also))}, or an importable module:function")
    return rule, tuple(inspect.signature(rule).parameters)

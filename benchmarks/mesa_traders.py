"""The traders of the plain Mesa model: an account, a wallet, and what their owner does when called."""

from __future__ import annotations

import mesa
import numpy as np

from benchmarks.mesa_market import Contract


class Trader(mesa.Agent):
    """A cross-margin account and the wallet behind it."""

    def __init__(self, model, key, cash: float, balance: float, positions: dict, entry: dict, rules) -> None:
        super().__init__(model)
        self.key, self.cash, self.balance, self.rules = key, cash, balance, rules
        self.positions: dict[Contract, float] = positions
        self.entry: dict[Contract, float] = entry
        self.called = self.in_breach = self.closed = self.bankrupt = False

    def nothing(self) -> None:
        """The empty call that the cost of marking is compared with."""

    # -- margin -------------------------------------------------------------------------------------------------

    def mark(self) -> None:
        """Look closer where equity may be below the warning level."""
        cushion = self.balance
        for contract, units in self.positions.items():
            cushion += units * (contract.long_floor if units > 0.0 else contract.short_ceiling)
        if cushion < 0.0:
            self.look_closer()

    def look_closer(self) -> None:
        """Report to the model an account in breach or below the warning level."""
        model, (equity, requirement) = self.model, self.margin()
        if equity < 0.0:
            model.shortfall -= equity
        if equity < requirement:
            model.breached.append(self)
        elif equity < model.warning * requirement:
            self.warn()

    def warn(self) -> None:
        self.model.warned.append(self)

    def margin(self) -> tuple[float, float]:
        """Equity and maintenance requirement at the current marks. [USD]"""
        equity, requirement = self.balance, 0.0
        for contract, units in self.positions.items():
            equity += units * contract.mark
            requirement += contract.maintenance(abs(units) * contract.mark)
        return equity, requirement

    def cost_to_close(self, distance: dict[Contract, float]) -> float:
        """Loss of closing everything at a distance from the mark, by contract. [USD]"""
        return sum(abs(units) * held.mark * distance.get(held, 0.0) for held, units in self.positions.items())

    def net_worth(self) -> float:
        return self.cash + max(0.0, self.margin()[0])

    # -- positions ----------------------------------------------------------------------------------------------

    def trade(self, contract: Contract, units: float, price: float) -> None:
        self.balance -= units * price
        held = self.positions.get(contract, 0.0)
        total = held + units
        if held * units >= 0.0:
            before = self.entry.get(contract, 0.0)
            self.entry[contract] = (before * abs(held) + price * abs(units)) / (abs(held) + abs(units))
        elif held * total < 0.0:
            self.entry[contract] = price
        if abs(total) < 1e-12 * (abs(held) + abs(units)):
            self.positions.pop(contract, None)
        else:
            self.positions[contract] = total

    def can_bear(self, contract: Contract, side: float, price: float) -> bool:
        """Whether it holds the contract on a side and would not be below zero were that valued at a price."""
        units = self.positions.get(contract, 0.0)
        return units * side > 0.0 and self.margin()[0] + units * (price - contract.mark) >= 0.0

    def deleveraging_score(self, contract: Contract) -> float:
        """Return on entry times leverage of the account; a loss divided by it."""
        units, entry = self.positions[contract], self.entry[contract]
        gain = units * (contract.mark - entry) / (abs(units) * entry)
        equity, notional = self.balance, 0.0
        for held, amount in self.positions.items():
            equity += amount * held.mark
            notional += abs(amount) * held.mark
        leverage = notional / equity if equity > 0.0 else float("inf")
        return gain * leverage if gain > 0.0 else gain / leverage

    def deleveraged_at_a_loss(self) -> None:
        """A trader does nothing about it."""

    def stop_quoting(self) -> None:
        """A trader has no quotes."""

    # -- margin calls ---------------------------------------------------------------------------------------------

    def answer(self) -> list:
        """Top up, order a reduction, or ignore the call; the orders."""
        model = self.model
        equity, requirement = self.margin()
        level = model.warning * requirement
        if equity >= level:
            return []
        draw = float(model.streams.uniforms("margin call answer", np.array([self.key]), model.now)[0])
        answers = self.rules.answers
        if draw < answers["top_up"]:
            paid = min(level - equity, self.cash)
            self.cash -= paid
            self.balance += paid
            model.exchange.cash += paid
            model.book("top_up", self, model.exchange, paid)
            model.moved = model.moved or paid > 0.0
        elif draw < answers["top_up"] + answers["reduce"]:
            share = min(1.0, max(0.0, 1.0 - equity / level))
            return [(self, contract, -share * units) for contract, units in self.positions.items()]
        return []


class MarketMaker(Trader):
    """Quotes all contracts; watches its own margin, so it is never called."""

    away_until = 0  # last step in which it quotes less

    def warn(self) -> None:
        """Nobody calls it."""

    def deleveraged_at_a_loss(self) -> None:
        """From the next step on it quotes less, for a while."""
        self.away_until = self.model.now + self.behaviour.retreat_for

    def stop_quoting(self) -> None:
        """It takes no more flow in later rounds of the step."""
        for quote in self.quotes:
            quote.depth = 0.0
            quote.contract.depth = sum(other.depth for other in quote.contract.quotes)

    def update_quotes(self) -> None:
        """Depth falls with volatility, losses and deleveraging at once, and comes back by a share a step."""
        behaviour, equity = self.behaviour, max(0.0, self.margin()[0])
        stays = 1.0 - behaviour.retreat if self.model.now <= self.away_until else 1.0
        for quote in self.quotes:
            excess = self.model.excess_volatility[quote.contract.asset]
            goal = quote.base * min(1.0, equity / quote.capital) * stays / (1.0 + behaviour.stress * excess)
            gone = self.bankrupt or self.closed
            goal = 0.0 if gone else goal
            rises = not gone and goal >= quote.depth
            quote.depth = quote.depth + behaviour.recovery * (goal - quote.depth) if rises else goal

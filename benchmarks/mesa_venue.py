"""The exchange of the plain Mesa model: execution, liquidation, insurance fund and auto-deleveraging."""

from __future__ import annotations

from dataclasses import dataclass

import mesa

from benchmarks.mesa_market import Contract


@dataclass(eq=False)
class Deficit:
    """What one bankrupt account lacked. [USD]"""

    amount: float
    open: float

    def absorb(self, paid: float) -> None:
        left = self.open - paid
        self.open = left if left > 1e-12 * self.amount else 0.0


@dataclass(eq=False)
class Lot:
    """Units taken over from one bankrupt account."""

    units: float
    bankruptcy: float
    deficit: Deficit | None


class Exchange(mesa.Agent):
    """Stands between all traders; liquidates, and passes on what the liquidated cannot pay."""

    def __init__(self, model, contracts: list[Contract], cash: float, fund: float, rules) -> None:
        super().__init__(model)
        self.contracts, self.cash, self.fund, self.rules = contracts, cash, fund, rules
        self.balance = 0.0  # of the takeover account
        self.held: dict[Contract, float] = {}
        self.lots: dict[Contract, list[Lot]] = {contract: [] for contract in contracts}
        self.customers_balance = 0.0
        self.new_deficits: list[Deficit] = []

    @property
    def equity(self) -> float:
        return self.balance + sum(units * contract.mark for contract, units in self.held.items())

    def net_worth(self) -> float:
        """Cash less what customers' accounts are worth, none below zero; contracts between them add to zero."""
        owed = self.model.balances() - (self.equity - self.balance)
        return self.cash - owed - self.model.shortfall

    # -- execution ----------------------------------------------------------------------------------------------

    def execute(self, orders: list, cause: str) -> list[float]:
        """Execute (holder, contract, units) orders against the makers; the units each got, in their order."""
        done = [0.0] * len(orders)
        trades = []
        for contract in self.contracts:
            mine = [row for row, order in enumerate(orders) if order[1] is contract and order[2] != 0.0]
            if not mine:
                continue
            filled, makers, price = contract.cross([orders[row][2] for row in mine])
            for row, units in zip(mine, filled, strict=True):
                done[row] = units
                trades.append((orders[row][0], contract, units, price))
            trades += [(q.maker, contract, units, price) for q, units in zip(contract.quotes, makers, strict=True)]
        for holder, contract, units, price in trades:
            if units:
                holder.trade(contract, units, price)
                self.model.book(cause, holder, self, units * (price - contract.mark))
        return done

    def trade(self, contract: Contract, units: float, price: float) -> None:
        self.balance -= units * price
        held = self.held.get(contract, 0.0)
        rest = held + units
        self.held[contract] = rest if abs(rest) >= 1e-12 * (abs(held) + abs(units)) else 0.0

    # -- liquidation --------------------------------------------------------------------------------------------

    def liquidate(self, breached: list) -> bool:
        """Close accounts in breach unless that would bankrupt them; take over the bankrupt."""
        happened = self.dispose()
        model = self.model
        accounts = [(trader, *trader.margin()) for trader in breached]
        accounts = [(trader, equity) for trader, equity, requirement in accounts if equity < requirement]
        new = [trader for trader, _ in accounts if not trader.in_breach]
        for trader in new:
            trader.in_breach = True
        closing = [(trader, equity) for trader, equity in accounts if equity >= 0.0]
        for _ in range(2):
            distance = self.expected_distance([trader for trader, _ in closing])
            closing = [(trader, equity) for trader, equity in closing if equity >= trader.cost_to_close(distance)]
        orders = [
            (trader, contract, -units) for trader, _ in closing for contract, units in trader.positions.items()
        ]
        done = self.execute(orders, "liquidation")
        notional: dict = {}
        for (trader, contract, _), units in zip(orders, done, strict=True):
            notional[trader] = notional.get(trader, 0.0) + abs(units) * contract.mark
        for trader, size in notional.items():
            self.charge_fee(trader, size)
            trader.closed = not trader.positions
            model.liquidations += size > 0.0
            model.liquidated_notional += size
        taken = False
        for trader, _ in accounts:
            equity, requirement = trader.margin()
            if equity < 0.0:
                self.take_over(trader, equity)
                taken = True
            if equity < 0.0 or equity >= requirement or not trader.positions:
                trader.in_breach = False
        return happened or any(done) or taken or bool(new)

    def dispose(self) -> bool:
        """Sell what is left on the takeover account at the market."""
        orders = [(self, contract, -units) for contract, units in self.held.items() if units]
        done = any(self.execute(orders, "liquidation"))
        if done:
            self.reconcile()
        return done

    def expected_distance(self, closing: list) -> dict[Contract, float]:
        """Loss per notional against the mark if these accounts were closed together, by contract."""
        distance = {}
        for contract in self.contracts:
            net = -sum(trader.positions.get(contract, 0.0) for trader in closing)
            if net:
                _, price, _ = contract.quote_price(contract.takeable(net * contract.mark))
                gap = price - contract.mark if net > 0.0 else contract.mark - price
                distance[contract] = max(0.0, gap) / contract.mark
        return distance

    def charge_fee(self, trader, notional: float) -> None:
        fee = min(self.rules.fee * notional, max(0.0, trader.margin()[0]))
        trader.balance -= fee
        self.cash -= fee
        self.fund += fee
        self.model.book("liquidation_fee", trader, self, fee)

    def take_over(self, trader, equity: float) -> None:
        """Units and balance come to the takeover account; what is missing is a deficit."""
        deficit = Deficit(-equity, -equity)
        requirement = trader.margin()[1]
        for contract, units in trader.positions.items():
            share = contract.maintenance(abs(units) * contract.mark) / requirement
            bankruptcy = contract.mark - equity * share / units
            self.lots[contract].append(Lot(units, bankruptcy, deficit))
            self.held[contract] = self.held.get(contract, 0.0) + units
        self.balance += trader.balance
        trader.balance, trader.positions, trader.bankrupt = 0.0, {}, True
        trader.stop_quoting()
        self.new_deficits.append(deficit)
        self.model.deficit += deficit.amount
        self.model.book("deficit", self, trader, deficit.amount)

    # -- the waterfall: insurance fund, auto-deleveraging, and what nobody takes ------------------------------------

    def allocate(self) -> bool:
        """Bear all open deficits; True if anything was booked."""
        rows = len(self.model.ledger)
        if not (self.new_deficits or self.balance or any(self.held.values())):
            return False
        self.reconcile()
        deficits, self.new_deficits = self.new_deficits, []
        deficits = deficits + self.own_shortfall(deficits)
        while deficits:
            self.draw_on_fund(deficits)
            asked = {deficit for deficit in deficits if deficit.open > 0.0}
            for contract in self.contracts:
                for side in (1.0, -1.0):
                    self.deleverage(contract, side, asked)
            self.leave_unallocated(deficits)
            deficits = self.own_shortfall([])
        if not any(self.held.values()) and self.balance:
            self.pass_on_surplus()
        return len(self.model.ledger) > rows

    def reconcile(self) -> None:
        """Units sold since come out of all lots of their side pro rata."""
        for contract, lots in self.lots.items():
            total, held = sum(lot.units for lot in lots), self.held.get(contract, 0.0)
            size = abs(held) + sum(abs(lot.units) for lot in lots)
            if abs(total - held) <= 1e-12 * size:
                continue
            same = [lot for lot in lots if lot.units * (total - held) > 0.0]
            there = abs(sum(lot.units for lot in same))
            for lot in same:
                lot.units *= 1.0 - min(1.0, abs(total - held) / there)
            if abs(total - held) > there + 1e-12 * size:
                lots.append(Lot(held - total + sum(lot.units for lot in same), contract.mark, None))
            self.lots[contract] = [lot for lot in lots if abs(lot.units) > 1e-12 * size]

    def own_shortfall(self, deficits: list[Deficit]) -> list[Deficit]:
        """A deficit of the takeover account itself: losses on units taken over earlier."""
        gross = abs(self.balance) + sum(abs(units) * contract.mark for contract, units in self.held.items())
        shortfall = -self.equity - sum(deficit.open for deficit in deficits)
        if shortfall <= 1e-9 * max(1.0, gross):
            return []
        own = Deficit(shortfall, shortfall)
        free = [(c, lot) for c, lots in self.lots.items() for lot in lots if lot.deficit not in deficits]
        notional = sum(abs(lot.units) * contract.mark for contract, lot in free)
        for contract, lot in free:
            side = 1.0 if lot.units > 0.0 else -1.0
            lot.bankruptcy = contract.mark * (1.0 + side * shortfall / notional)
            lot.deficit = own
        self.model.deficit += shortfall
        self.model.book("deficit", self, self, shortfall)
        return [own]

    def draw_on_fund(self, deficits: list[Deficit]) -> None:
        need = sum(deficit.open for deficit in deficits)
        paid = min(max(0.0, self.fund), need)
        if paid > 0.0:
            self.fund -= paid
            self.cash += paid
            self.balance += paid
            for deficit in deficits:
                self.model.book("insurance_fund", self, self, deficit.open * paid / need)
                deficit.absorb(deficit.open * paid / need)

    def deleverage(self, contract: Contract, side: float, asked: set[Deficit]) -> None:
        """The most profitable and most leveraged of the other side close against the lots at the bankruptcy price."""
        lots = [lot for lot in self.lots[contract] if lot.units * side > 0.0 and lot.deficit in asked]
        units = sum(abs(lot.units) for lot in lots)
        if not units:
            return
        price = sum(lot.bankruptcy * abs(lot.units) for lot in lots) / units
        ranked = [trader for trader in self.model.traders if trader.can_bear(contract, -side, price)]
        ranked.sort(key=lambda trader: trader.deleveraging_score(contract), reverse=True)
        left, losses = units, 0.0
        for holder in ranked:
            fill = min(left, abs(holder.positions[contract]))
            if fill <= 0.0:
                break
            holder.trade(contract, side * fill, price)
            self.trade(contract, -side * fill, price)
            loss = side * fill * (price - contract.mark)
            self.model.book("auto_deleverage", holder, self, loss)
            if loss > 0.0:
                losses += loss
                holder.deleveraged_at_a_loss()
            self.model.deleveraged_notional += fill * contract.mark
            self.model.deleveraging_fills += 1
            left -= fill
        share = (units - left) / units
        self.absorb(contract, lots, share, losses)
        for lot in lots:
            lot.units *= 1.0 - (1.0 if share > 1.0 - 1e-12 else share)
        self.lots[contract] = [lot for lot in self.lots[contract] if lot.units != 0.0]
        if not self.lots[contract] and abs(self.held[contract]) < 1e-9:
            self.held[contract] = 0.0

    def absorb(self, contract: Contract, lots: list[Lot], share: float, losses: float) -> None:
        """Deficits fall by what their own lots' prices collected, in the order of their lots."""
        collected: dict[Deficit, float] = {}
        for lot in lots:
            gain = share * lot.units * (lot.bankruptcy - contract.mark)
            collected[lot.deficit] = collected.get(lot.deficit, 0.0) + gain
        for deficit, amount in collected.items():
            paid = min(max(0.0, amount), deficit.open, losses)
            losses -= paid
            deficit.absorb(paid)

    def leave_unallocated(self, deficits: list[Deficit]) -> None:
        for deficit in deficits:
            if deficit.open > 0.0:
                self.balance += deficit.open
                self.model.book("unallocated", self, self, deficit.open)
                deficit.open = 0.0

    def pass_on_surplus(self) -> None:
        surplus = max(0.0, self.balance)
        self.cash -= surplus
        self.fund += surplus
        self.balance = 0.0
        self.model.book("surplus", self, self, surplus)

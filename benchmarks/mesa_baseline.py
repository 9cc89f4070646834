"""A plain Mesa version of the exchange-only scenario: one Python object per trader, no arrays over agents.

It follows the same rules as :class:`contagion.ContagionModel` but shares no code with it beyond the opening balance
sheets, the price path and the keyed draws: what is timed and compared is marking, calling, liquidating, allocating and
recording. Restricted to one exchange, linear contracts in USD, cross margin, traders that only answer margin calls,
square-root impact, full liquidation at no worse than bankruptcy, the waterfall insurance fund, auto-deleveraging, and
makers that quote less for a while after being deleveraged. Nobody runs from the exchange; no two accounts rank equal.
"""

from __future__ import annotations

from math import exp, log

import mesa

from benchmarks.mesa_market import Asset, Contract, Quote, RealisedVolatility
from benchmarks.mesa_traders import MarketMaker, Trader
from benchmarks.mesa_venue import Exchange
from contagion.state.codes import AccountFlag

_REPORTERS = {
    "price.BTC": lambda model: model.assets[0].price,
    "price.ETH": lambda model: model.assets[1].price,
    "fund": lambda model: model.exchange.fund,
    "breached": "breached_first",
} | {
    name: name
    for name in (
        "rounds", "liquidations", "liquidated_notional", "deleveraged_notional", "margin_calls", "deficit",
    )
}  # fmt: skip


class MesaExchangeModel(mesa.Model):
    """The exchange-only scenario, agent by agent.

    Parameters
    ----------
    world : contagion.state.world.World
        Opening state of the scenario, from :func:`contagion.scenario.assemble.assemble`; it is only read.
    """

    def __init__(self, world) -> None:
        super().__init__(rng=1)
        scenario, state = world.scenario, world.state
        (venue,) = world.venues.values()
        self.streams, self.now, self.max_rounds = world.streams, 0, scenario.max_rounds
        self.warning, self.ledger = venue.spec.warning, []
        self.contracts = self._contracts(world, venue)
        self.assets = [contract.asset for contract in self.contracts]
        cash = state.agents.cash
        self.exchange = Exchange(
            self, self.contracts, float(cash[venue.row]), float(cash[venue.fund]), venue.spec.liquidation
        )
        self.traders: list[Trader] = []
        self.makers: list[MarketMaker] = []
        for group in world.groups:
            self._add_group(world, group)
        self._add_quotes(world)
        self.due: dict[int, list[Trader]] = {}
        self.answered: list[Trader] = []
        self.breached: list[Trader] = []
        self.warned: list[Trader] = []
        self._clear_counts()
        self.datacollector = mesa.DataCollector(model_reporters=_REPORTERS)
        self._volatility = [
            [RealisedVolatility(asset, maker.behaviour.lookback, world.dt_years) for asset in self.assets]
            for maker in self.makers[:1]
        ]

    # -- construction ---------------------------------------------------------------------------------------------

    def _contracts(self, world, venue) -> list[Contract]:
        scenario, seconds = world.scenario, world.scenario.dt.total_seconds()
        half_life = world.impact.half_life
        decay = exp(-log(2.0) * seconds / half_life) if half_life > 0.0 else 0.0
        contracts = []
        for column, (name, asset) in enumerate(scenario.assets.items(), start=1):
            gaps = {shock.at: shock.size for shock in scenario.shocks if shock.asset == name}
            tiers = [(tier.floor, tier.maintenance) for tier in venue.spec.contracts[name].tiers]
            contracts.append(
                Contract(
                    Asset(name, world.path[:, column].tolist(), asset.volatility, gaps), tiers, world.impact,
                    scenario.feedback, decay, venue.spec.arbitrage.speed, venue.spec.warning,
                )
            )  # fmt: skip
        return contracts

    def _add_group(self, world, group) -> None:
        state, accounts, positions = world.state, world.state.accounts, world.state.positions
        maker = bool(accounts.flags[group.accounts[0]] & AccountFlag.MAKER)
        for agent, account in zip(range(group.agents.start, group.agents.stop), group.accounts.tolist(), strict=True):
            rows = range(accounts.start[account], accounts.start[account + 1])
            units = {self.contracts[positions.instrument[row]]: float(positions.units[row]) for row in rows}
            entry = {self.contracts[positions.instrument[row]]: float(positions.entry[row]) for row in rows}
            trader = (MarketMaker if maker else Trader)(
                self, accounts.key[account], float(state.agents.cash[agent]), float(accounts.balance[account]),
                {contract: amount for contract, amount in units.items() if amount != 0.0}, entry, group.spec,
            )  # fmt: skip
            self.traders.append(trader)
            if maker:
                trader.behaviour, trader.quotes = group.rule, []
                self.makers.append(trader)

    def _add_quotes(self, world) -> None:
        makers, owner = world.state.makers, world.state.accounts.owner
        for row in range(len(makers.position)):
            maker = self.traders[owner[makers.account[row]] - world.state.first_trader]
            contract = self.contracts[makers.instrument[row]]
            depth = float(makers.base_depth[row])
            quote = Quote(maker, contract, depth, float(makers.limit[row]), float(makers.capital[row]), depth)
            maker.quotes.append(quote)
            contract.quotes.append(quote)
            contract.depth += depth

    # -- a step -------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Prices, quotes, marks, calls; then rounds of liquidation and allocation; one row of records."""
        self.now += 1
        self._clear_counts()
        rows = len(self.ledger)
        for contract in self.contracts:
            contract.asset.gap(self.now)
            contract.advance()
        self.reprice()
        self.update_quotes()
        self.mark_all()
        breached = len(self.breached)
        self.answer_calls()
        rounds = 1
        while self.round() or (self.moved and rounds == 1):
            if rounds == self.max_rounds:
                break
            rounds += 1
            self.reprice()
            self.mark_all()
        if len(self.ledger) > rows:
            self.reprice()
            self.mark_all()
        self.rounds, self.breached_first = rounds, breached
        self.datacollector.collect(self)

    def _clear_counts(self) -> None:
        self.liquidations = self.deleveraging_fills = self.margin_calls = 0
        self.liquidated_notional = self.deleveraged_notional = self.deficit = self.shortfall = 0.0
        self.moved = False

    def reprice(self) -> None:
        for contract in self.contracts:
            contract.asset.reprice(self.now)
            contract.reprice()

    def update_quotes(self) -> None:
        self.excess_volatility = {
            asset: history.update()
            for histories in self._volatility for asset, history in zip(self.assets, histories, strict=True)
        }
        for maker in self.makers:
            maker.update_quotes()
        for contract in self.contracts:
            contract.depth = sum(quote.depth for quote in contract.quotes)

    def mark_all(self) -> None:
        self.breached, self.warned, self.shortfall = [], [], 0.0
        for contract in self.contracts:
            contract.flow_at_mark = contract.flow
        self.agents_by_type[Trader].do("mark")
        self.agents_by_type[MarketMaker].do("mark")

    def answer_calls(self) -> None:
        """Call those newly below the warning level; carry out the answers that are due."""
        below = {trader for trader in self.warned + self.breached if not trader.bankrupt}
        for trader in self.answered:
            if trader not in below:
                trader.called = False
        self.answered = [trader for trader in self.answered if trader in below]
        for trader in self.warned:
            if not trader.called:
                trader.called = True
                self.margin_calls += 1
                self.due.setdefault(self.now + trader.rules.delay, []).append(trader)
        answering = self.due.pop(self.now, [])
        self.answered += answering
        orders = [order for trader in answering for order in trader.answer()]
        if any(self.exchange.execute(orders, "execution")):
            self.moved = True

    def round(self) -> bool:
        liquidated = self.exchange.liquidate(self.breached)
        return self.exchange.allocate() or liquidated

    # -- records ------------------------------------------------------------------------------------------------

    def book(self, cause: str, payer, payee, amount: float) -> None:
        if amount:
            self.ledger.append((self.now, cause, payer, payee, amount))

    def balances(self) -> float:
        """Sum of all customers' balances: custody less own money. [USD]"""
        return sum(trader.balance for trader in self.traders)

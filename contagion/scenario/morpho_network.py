"""The network of curated vaults and isolated markets as it was recorded, in place of the one a scenario makes up.

A table says what each vault had supplied to each market. What it does not say, who borrowed there and how near to
their limits, is a parameter each.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from contagion.errors import InputError
from contagion.scenario.fields import Money, Share, Strict
from contagion.scenario.names import known

if TYPE_CHECKING:
    import pandas as pd

TABLE = "block6_vault_full_allocations.csv"
OTHER = "other_collateral"
COLUMNS = {
    "vault_name": "vault", "vault_address": "address", "market_unique_key": "key", "collateral_symbol": "collateral",
    "lltv": "limit", "supply_assets_usd": "amount",
}  # fmt: skip


def read_allocations(source: str | Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """What vaults had supplied to markets, a row each, and the SHA-256 of the file it was read from.

    Parameters
    ----------
    source
        ``block6_vault_full_allocations.csv``, or the folder it is in. Of its columns ``vault_name``, ``vault_address``,
        ``market_unique_key``, ``collateral_symbol``, ``lltv`` (1e18 is 100%) and ``supply_assets_usd`` are read.

    Returns
    -------
    frame, hashes
        Columns ``vault, address, key, collateral`` (text), ``limit`` (borrowing and liquidation, of 1; 0: a market in
        which nobody borrows), ``amount`` [USD], ``market`` (a name: collateral and first digits of the key).

    Raises
    ------
    InputError
        No such file; a column that is missing; a number that is absent, not finite or out of its range; two vaults of
        one name; a vault twice in a market; a market with two limits or collaterals. Names file, column and row (1 is
        the first below the header).
    """
    import pandas as pd

    path = Path(source)
    path = path / TABLE if path.is_dir() else path
    if not path.is_file():
        raise InputError("network.source", str(source), f"a folder with {TABLE}, or the path of that file")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError("network.source", str(path), f"a readable CSV file ({error})") from None
    for column in COLUMNS:
        if column not in table.columns:
            raise InputError(f"{path}: column {column!r}", list(table.columns), "a column of that name")
    frame = table[list(COLUMNS)].rename(columns=COLUMNS)
    for column in ("vault", "key"):
        _require(path, frame, column, frame[column].str.strip() != "", "a name")
    for column, most, accepted in (("limit", 1e18, "from 0 to below 1e18"), ("amount", float("inf"), "0 or above")):
        number = pd.to_numeric(frame[column], errors="coerce")
        _require(path, frame, column, (number >= 0.0) & (number < most), f"a finite number, {accepted}")
        frame[column] = number
    frame["limit"] /= 1e18
    _require(path, frame, "key", ~frame.duplicated(["vault", "key"]), "a market once for each vault")
    for column, one in (("address", "vault"), ("limit", "key"), ("collateral", "key")):
        same = frame[column] == frame.groupby(one)[column].transform("first")
        _require(path, frame, column, same, f"that of the rows before with the same {_written(one)}")
    frame["market"] = frame["collateral"] + " " + frame["key"].str[:10]
    return frame, {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}


class MorphoNetwork(Strict):
    """Reads vaults and markets from a table: see :func:`read_allocations`.

    They take the place of the scenario's curated vaults, lending pools and borrowers there; other traders at those
    pools (keepers) serve all markets. Each market is isolated, its oracle stays where it is, and one borrower owes
    `used` of what vaults supplied. A vault's caps are what it has supplied: it leaves markets, but enters none.

    Parameters
    ----------
    source
        Folder or file; none: the scenario's own network stays.
    files
        What was read: file -> SHA-256 of its bytes. Filled in by reading.
    collateral
        Symbol in the table -> protocol or asset of the scenario. All others are one claim on cash, at a dollar.
    used
        Share of what was supplied that is borrowed. [1]
    drawn
        Debt of borrowers over the most they may owe. [1]
    flees_at
        Vault -> loss from which on its curator leaves a market (see ``CuratedVault``); others stay. [1]
    issued
        Issuer -> its claims held by borrowers of the network and outside together: what borrowers do not post as
        collateral takes the place of the scenario's deposits. [USD]
    smallest
        Smaller allocations are left out. [USD]
    """

    source: str | None = None
    files: dict[str, str] = {}
    collateral: dict[str, str] = {}
    used: Share = 0.9
    drawn: Annotated[float, Field(gt=0, le=1)] = 0.93
    flees_at: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}
    issued: dict[str, Money] = {}
    smallest: Money = 1000.0

    def put_into(self, data: dict[str, Any]) -> dict[str, Any]:
        """The scenario, as plain data, with the network of `source` in place of its own.

        Raises
        ------
        InputError
            The table (see :func:`read_allocations`); `flees_at` of a vault, `issued` by an issuer or `collateral` that
            is not there; less issued than borrowers post; a vault with the name of a protocol that stays.
        """
        frame, files = read_allocations(self.source)
        written = data.get("protocols") or {}
        replaced = [name for name, spec in written.items() if spec.get("kind") in ("curated_vault", "lending_pool")]
        kept = {name: spec for name, spec in written.items() if name not in replaced}
        for vault in self.flees_at:
            known("network.flees_at", vault, list(frame["vault"].unique()))
        for issuer in self.issued:
            known("network.issued", issuer, kept)
        for asset in self.collateral.values():
            known("network.collateral", asset, [*kept, *(data.get("assets") or ())])
        frame = frame[(frame["amount"] >= self.smallest) & (frame["amount"] > 0.0)]
        lent = frame[frame["limit"] > 0.0]
        markets = {name: rows for name, rows in lent.groupby("market", sort=False)}
        vaults = {name: rows for name, rows in frame.groupby("vault", sort=False)}
        for name in (*markets, *vaults):
            if name in kept:
                raise InputError("network.source", name, "names other than those of the scenario's issuers")
        protocols = {
            **{name: spec | self._deposits(name, markets) for name, spec in kept.items()},
            OTHER: {"kind": "fiat_backed"},
            **{name: self._market(rows) for name, rows in markets.items()},
            **{name: self._vault(name, rows) for name, rows in vaults.items()},
        }
        traders = _served(data.get("traders") or (), set(replaced), list(markets))
        traders += [self._borrower(name, rows) for name, rows in markets.items()]
        network = {**data["network"], "files": files}
        return {**data, "network": network, "protocols": protocols, "traders": traders}

    def _deposits(self, issuer: str, markets: dict[str, pd.DataFrame]) -> dict[str, float]:
        if issuer not in self.issued:
            return {}
        posted = sum(self._size(rows) for rows in markets.values() if self._posted(rows) == issuer)
        if posted > self.issued[issuer]:
            accepted = f"at least {posted:.6g}, which borrowers post"
            raise InputError(f"network.issued.{issuer}", self.issued[issuer], accepted)
        return {"deposits": self.issued[issuer] - posted}

    def _market(self, rows: pd.DataFrame) -> dict[str, Any]:
        limit = float(rows["limit"].iloc[0])
        terms = {"ltv": limit, "liquidation_threshold": limit, "oracle": {"source": "fixed"}}
        return {"kind": "lending_pool", "preset": "morpho", "collateral": {self._posted(rows): terms}}

    def _posted(self, rows: pd.DataFrame) -> str:
        return self.collateral.get(rows["collateral"].iloc[0], OTHER)

    def _vault(self, name: str, rows: pd.DataFrame) -> dict[str, Any]:
        lent = rows[rows["limit"] > 0.0]
        supplied = dict(zip(lent["market"], lent["amount"].tolist(), strict=True))
        return {
            "kind": "curated_vault", "deposits": float(rows["amount"].sum()), "caps": supplied, "holds": supplied,
            "flees_at": self.flees_at.get(name),
        }  # fmt: skip

    def _borrower(self, market: str, rows: pd.DataFrame) -> dict[str, Any]:
        return {
            "archetype": "borrower", "name": f"{market} borrower", "venue": market, "count": 1,
            "size": {"fixed": self._size(rows)}, "wallet": 0.0, "parameters": {"ltv": self._ratio(rows)},
        }  # fmt: skip

    def _ratio(self, rows: pd.DataFrame) -> float:
        return self.drawn * float(rows["limit"].iloc[0])

    def _size(self, rows: pd.DataFrame) -> float:
        """Collateral. [USD]"""
        return self.used * float(rows["amount"].sum()) / self._ratio(rows)


def _served(traders: Any, replaced: set[str], markets: list[str]) -> list[dict[str, Any]]:
    """Groups that stay: borrowers at replaced pools go, whoever else was there serves the new markets."""
    kept = []
    for group in traders:
        venues = [group["venue"]] if isinstance(group.get("venue"), str) else list(group.get("venue") or ())
        stays = [venue for venue in venues if venue not in replaced]
        if len(stays) == len(venues):
            kept.append(group)
        elif group.get("archetype") != "borrower":
            kept.append({**group, "venue": [*stays, *markets]})
    return kept


def _require(path: Path, frame: pd.DataFrame, column: str, good: pd.Series, accepted: str) -> None:
    """Raise for the first row of a column that is no good."""
    if not good.all():
        row = int((~good).to_numpy().argmax())
        raise InputError(f"{path}: column {_written(column)!r}, row {row + 1}", frame[column].iloc[row], accepted)


def _written(column: str) -> str:
    """What the table calls a column."""
    return next(name for name, ours in COLUMNS.items() if ours == column)

"""Issuers of claims: lending pools and vaults, their values, liquidations, runs, and credit between agents."""

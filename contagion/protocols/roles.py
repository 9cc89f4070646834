"""Which trader groups play a part in the phases of protocols."""

from __future__ import annotations

from contagion.state.world import Group, World


def groups_of(world: World, archetype: str) -> list[Group]:
    """Groups whose rule is an archetype, or a class made from it, by the archetype's class name."""
    return [
        group for group in world.groups
        if any(base.__name__ == archetype for base in type(group.rule).__mro__)
    ]  # fmt: skip

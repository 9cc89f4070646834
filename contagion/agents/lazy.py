"""Mesa agents made on first touch: a run without anybody looking at ``model.agents`` builds none."""

from __future__ import annotations

from typing import Any

import mesa

from contagion.agents.institutions import INSTITUTIONS
from contagion.agents.views import Trader, View
from contagion.errors import InputError
from contagion.state.codes import AgentKind


class LazyAgents:
    """Mixin before :class:`mesa.Model` for a model whose state is in ``self.world``.

    ``agents``, ``agents_by_type`` and ``agent_types`` build a view of every agent when first used; :meth:`view` builds
    one. ``unique_id`` is the agent's row plus one, whatever the order of touching; agents of the user's own, registered
    as Mesa does, count on from there.

    Attributes
    ----------
    deciding : bool
        Agents are being asked for their intents: nothing may be written through a view.
    """

    world: Any
    deciding = False

    @property
    def _views(self) -> dict[int, View]:
        return self.__dict__.setdefault("_views_by_row", {})

    @property
    def n_views(self) -> int:
        """How many views have been built."""
        return len(self._views)

    def view(self, row: int) -> View:
        """The Mesa agent of a row of the state."""
        found = self._views.get(row)
        if found is None:
            if row in self.__dict__.get("_removed", ()):
                raise InputError("agent", self.world.state.agent_name(row), "an agent that was not removed")
            found = self._class_of(row)(self, row)
        return found

    def _class_of(self, row: int) -> type[View]:
        kind = AgentKind(int(self.world.state.agents.kind[row]))
        if kind is not AgentKind.TRADER:
            return INSTITUTIONS[kind]
        group = int(self.world.state.agents.group[row])
        return getattr(self.world.groups[group].rule, "trader_class", None) or Trader

    def build_views(self) -> None:
        """Build the views that are missing; the order of agents is that of their rows, then the user's own."""
        if self.__dict__.get("_all_built"):
            return
        self.__dict__["_all_built"] = True
        earlier = list(super().agents)
        for agent in earlier:
            super().deregister_agent(agent)
        removed = self.__dict__.get("_removed", ())
        for row in range(self.world.state.n_agents):
            if row in self._views:
                self._register_again(self._views[row])
            elif row not in removed:
                self._class_of(row)(self, row)
        for agent in earlier:
            if not isinstance(agent, View):
                self._register_again(agent)

    def _register_again(self, agent: mesa.Agent) -> None:
        number = agent.unique_id
        super().register_agent(agent)
        agent.unique_id = number

    # -- what Mesa users call -----------------------------------------------------------------------------------

    @property
    def agents(self) -> Any:
        """All agents of the model."""
        self.build_views()
        return super().agents

    @agents.setter
    def agents(self, agents: Any) -> None:
        raise AttributeError("model.agents is kept by the model: agents are views of its state")

    @property
    def agents_by_type(self) -> Any:
        """Agents by class."""
        self.build_views()
        return super().agents_by_type

    @property
    def agent_types(self) -> list[type]:
        """Classes of the model's agents."""
        self.build_views()
        return super().agent_types

    def register_agent(self, agent: mesa.Agent) -> None:
        """Register an agent: a view under its row, an agent of the user's own after all rows."""
        if isinstance(agent, View):
            if agent.row in self._views:
                raise InputError("agent", agent.name, "one view per agent: model.view(row) returns the one there is")
            self._views[agent.row] = agent
            number = agent.row + 1
        else:
            number = self.__dict__.setdefault("_next_id", self.world.state.n_agents + 1)
            self.__dict__["_next_id"] = number + 1
        super().register_agent(agent)
        agent.unique_id = number
        # Mesa 3.3 counts ids in a dictionary on the class, which would keep the model alive for ever.
        counters = getattr(agent, "_ids", None)
        if counters is not None:
            counters.pop(self, None)

    def deregister_agent(self, agent: mesa.Agent) -> None:
        """Forget an agent. Agents that hold or owe anything but cash cannot be removed, see :meth:`View.remove`."""
        super().deregister_agent(agent)
        if isinstance(agent, View):
            del self._views[agent.row]
            self.__dict__.setdefault("_removed", set()).add(agent.row)

    def remove_all_agents(self) -> None:
        """Remove every agent; an error as soon as one of them has positions."""
        self.build_views()
        super().remove_all_agents()

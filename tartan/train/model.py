"""The body and the objectives of a run: everything that has parameters."""

from collections.abc import Iterable, Mapping

from torch import nn

from tartan.body import Body
from tartan.objective import Objective, PrimaryObjective


class JointModel(nn.Module):
    """A body and the objectives on it.

    Attributes:
        body: the shared encoder.
        objectives: by name, the primary first.
        primary: the end task's name.
    """

    def __init__(self, body: Body, primary: str, objectives: Mapping[str, Objective]) -> None:
        super().__init__()
        self.body = body
        self.primary = primary
        self.objectives = nn.ModuleDict(objectives)
        self.recount()

    def recount(self) -> None:
        """Find the body's parameters again, after they were replaced by others."""
        self._shared = {id(parameter) for parameter in self.body.parameters()}

    @property
    def names(self) -> tuple[str, ...]:
        """The objectives' names, the primary first."""
        return tuple(self.objectives)

    def objective(self, name: str) -> Objective:
        """Return an objective by name."""
        objective = self.objectives[name]
        assert isinstance(objective, Objective)
        return objective

    @property
    def end_task(self) -> PrimaryObjective:
        """The primary objective."""
        objective = self.objectives[self.primary]
        assert isinstance(objective, PrimaryObjective)
        return objective

    def shared(self) -> list[nn.Parameter]:
        """Return the parameters of the body that train."""
        return [parameter for parameter in self.body.parameters() if parameter.requires_grad]

    def private(self, name: str) -> list[nn.Parameter]:
        """Return the parameters that an objective trains besides the body's.

        Its own, and the end task's if it uses these. A decoder tied to the body's embeddings is the
        body's.
        """
        objective = self.objective(name)
        trained = list(objective.parameters())
        if objective.uses_end_task:
            trained += objective.end_task.parameters()
        return [p for p in trained if p.requires_grad and id(p) not in self._shared]

    def heads(self, names: Iterable[str]) -> list[nn.Parameter]:
        """Return the parameters that several objectives train besides the body's, each once."""
        return list({id(p): p for name in names for p in self.private(name)}.values())

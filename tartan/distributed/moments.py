"""AdamW whose moments are divided among processes that each have all parameters (ZeRO, stage 1)."""

from collections.abc import Mapping
from typing import Any

from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.optim import AdamW

from tartan.distributed.ranks import Groups


class DividedAdamW(ZeroRedundancyOptimizer):
    """torch's `ZeroRedundancyOptimizer` over AdamW, with the states of an ordinary AdamW.

    Each process steps some of the parameters and sends them to the others (Rajbhandari et al., SC
    2020). Every process calls the same methods in the same order.
    """

    def __init__(self, groups: Groups, **options: Any) -> None:
        """Divide the parameters among the processes.

        Args:
            groups: of parameters, as AdamW takes them.
            options: further arguments of AdamW.
        """
        super().__init__(groups, AdamW, **options)

    def state_dict(self) -> dict[str, Any]:
        """Return in rank 0 the complete state of AdamW, on the CPU; nothing in other processes."""
        self.consolidate_state_dict(to=0)
        if self.rank:
            return {}
        found = super().state_dict()
        # A copy of all moments; torch declares no type.
        self._all_state_dicts.clear()  # type: ignore[attr-defined]
        return found

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load this process's part of a complete state; the given one stays as it is."""
        super().load_state_dict({**state_dict, "state": dict(state_dict["state"])})
        self.state.clear()  # a second copy of that part
        for parameter, moments in self.optim.state.items():
            moments["step"] = moments["step"].to(parameter.device)  # as fused AdamW needs it

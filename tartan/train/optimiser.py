"""AdamW over body, heads and weighting, linear warm-up and decay, clipping."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_linear_schedule_with_warmup

from tartan.checks import check_range, check_ranges
from tartan.held_steps import hold
from tartan.weighting import Weighting


@dataclass
class OptimiserOptions:
    """Learning rates and AdamW's options; the defaults are those of the paper's released scripts.

    Attributes:
        body_lr: peak learning rate of the body.
        head_lr: peak learning rate of the heads.
        body_weight_decay: decoupled weight decay of the body's matrices.
        head_weight_decay: decoupled weight decay of the heads' matrices.
        beta1: AdamW's first-moment decay.
        beta2: AdamW's second-moment decay.
        eps: AdamW's epsilon.
        warmup: share of a stage's steps over which the rates rise to their peak.
        clip: largest Euclidean norm of the body's gradient, and of the heads'; 0 for none.
    """

    body_lr: float = 1e-4
    head_lr: float = 1e-3
    body_weight_decay: float = 0.01
    head_weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.98
    eps: float = 1e-6
    warmup: float = 0.06
    clip: float = 1.0

    def __post_init__(self) -> None:
        """ConfigError where a value has no meaning."""
        for name in ("body_lr", "head_lr", "body_weight_decay", "head_weight_decay", "clip"):
            check_range(f"optimizer.{name}", getattr(self, name), "[0, inf)")
        ranges = {"beta1": "[0, 1)", "beta2": "[0, 1)", "eps": "(0, inf)", "warmup": "[0, 1]"}
        check_ranges("optimizer", self, **ranges)


class Optimiser:
    """Takes the `.grad` of body, heads and weighting, clips each by itself, and steps."""

    def __init__(
        self,
        body: Sequence[nn.Parameter],
        heads: Sequence[nn.Parameter],
        options: OptimiserOptions,
        steps: int,
        weighting: Weighting | None = None,
        norm: Callable[[], Tensor] | None = None,
        adamw: Callable[..., Optimizer] = AdamW,
    ) -> None:
        """Prepare a stage of `steps` steps.

        Args:
            body: its parameters, or the parts of them that this process steps.
            heads: the parameters of the heads.
            options: learning rates and so on.
            steps: of the stage.
            weighting: its parameters, if it has any, are stepped too.
            norm: computes the norm of the body's gradient; by default that of its `.grad`.
            adamw: makes the optimiser, as `Ranks.adamw` does.
        """
        self._norm = norm
        learned = [] if weighting is None else [*weighting.parameters()]
        self._parts = [body, heads, *([learned] if learned else [])]
        self._device, self._clip = body[0].device, options.clip
        groups = [
            *_groups(body, options.body_lr, options.body_weight_decay),
            *_groups(heads, options.head_lr, options.head_weight_decay),
        ]
        if weighting is not None and learned:
            groups.append({"params": learned, "lr": weighting.lr, "weight_decay": 0.0})
        self._adamw = adamw(
            groups, betas=(options.beta1, options.beta2), eps=options.eps, fused=True
        )
        self._local: Optimizer = getattr(self._adamw, "optim", self._adamw)  # of this process
        warmup = round(options.warmup * steps)
        self._schedule: LambdaLR = get_linear_schedule_with_warmup(self._adamw, warmup, steps)

    @property
    def divided(self) -> bool:
        """Whether this process holds the moments of some of the parameters only."""
        return self._local is not self._adamw

    def norms(self) -> Tensor:
        """Compute the Euclidean norms of the gradients of body, heads and, if any, weighting.

        Returns:
            [2] float; [3] where the weighting has parameters.
        """
        body, *others = self._parts
        whole = self._total_norm(body) if self._norm is None else self._norm()
        return torch.stack([whole, *(self._total_norm(part) for part in others)])

    def _total_norm(self, parameters: Iterable[nn.Parameter]) -> Tensor:
        """Return the norm of gradients, on the body's device: of none, torch's is on the CPU."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            return torch.zeros((), device=self._device)
        return nn.utils.get_total_norm(gradients).to(self._device)

    def step(self, norms: Tensor | None = None, held: Tensor | None = None) -> None:
        """Clip, move, and continue to the next learning rate.

        Args:
            norms: the result of `norms`, if it has been computed.
            held: [] float; where it is 1, nothing moves.
        """
        if self._clip:
            norms = self.norms() if norms is None else norms
            for parameters, norm in zip(self._parts, norms, strict=True):
                nn.utils.clip_grads_with_norm_(parameters, self._clip, norm)
        if held is not None:
            hold(self._local, held)
        self._adamw.step()
        self._schedule.step()

    def indices(self, parameters: Iterable[nn.Parameter]) -> list[int]:
        """Return the indices in `state_dict` of some of the parameters."""
        every = [p for group in self._adamw.param_groups for p in group["params"]]
        wanted = {id(parameter) for parameter in parameters}
        return [index for index, parameter in enumerate(every) if id(parameter) in wanted]

    def state_dict(self) -> dict[str, object]:
        """Return moments and schedule, loadable by torch.load with weights_only."""
        return {"adamw": self._adamw.state_dict(), "schedule": self._schedule.state_dict()}

    def load_state_dict(self, state: dict[str, dict[str, object]]) -> None:
        """Load a `state_dict`, whose options do not count: a resumed run may have others.

        ValueError if its moments are not those of these parameters.
        """
        groups, peaks = self._adamw.param_groups, self._schedule.base_lrs
        given = [{k: v for k, v in group.items() if k != "params"} for group in groups]
        self._adamw.load_state_dict(state["adamw"])
        for parameter, moments in self._local.state.items():
            if moments["exp_avg"].shape != parameter.shape:  # fused AdamW reads past their ends
                raise ValueError(
                    f"moments of shape {list(moments['exp_avg'].shape)} for a parameter of shape "
                    f"{list(parameter.shape)}"
                )
        self._schedule.load_state_dict(state["schedule"])
        self._schedule.base_lrs = peaks
        factors = [factor(self._schedule.last_epoch) for factor in self._schedule.lr_lambdas]
        for group, own, peak, factor in zip(
            self._adamw.param_groups, given, peaks, factors, strict=True
        ):
            group.update(own, lr=peak * factor)


def _groups(
    parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
) -> list[dict[str, object]]:
    """Matrices decay; biases and norms do not."""
    parameters = list(parameters)
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    return [
        {"params": matrices, "lr": lr, "weight_decay": weight_decay},
        {"params": vectors, "lr": lr, "weight_decay": 0.0},
    ]

"""What to do about a broken rule, by the name of the rule."""

from collections.abc import Mapping

REMEDIES: Mapping[str, str] = {
    "test_options_are_strict": (
        "make Options a dataclass in which every field has a type and a default"
    ),
    # objectives
    "test_the_same_seed_gives_the_same_batch_and_loss": (
        "draw every random choice of collate from `rng`, and of prepare from a torch.Generator "
        "seeded by batch.seed; keep no state between batches. Return the same rows from "
        "`examples` in every epoch: what should change between epochs belongs in collate"
    ),
    "test_the_global_random_state_is_left_alone": (
        "pass generator=rng to torch's functions in collate, and in prepare a torch.Generator "
        "seeded by batch.seed, instead of torch.manual_seed, random or numpy.random"
    ),
    "test_the_gradient_reaches_the_body": (
        "compute the loss from `hidden`, without detach() or no_grad()"
    ),
    "test_the_gradient_reaches_every_parameter_of_the_head": (
        "use each parameter in the loss, freeze it with requires_grad_(False), or do not create it"
    ),
    "test_inputs_are_left_as_they_were": (
        "work on copies: torch.where or masked_fill instead of masked_fill_ and item assignment"
    ),
    "test_a_batch_is_the_sum_of_its_micro_batches": (
        "return a sum over items, not a mean (reduction='sum'), and count in Batch.items what it "
        "sums over; if rows interact in the loss, declare separable = False"
    ),
    "test_the_order_of_sequences_does_not_matter": (
        "compute each sequence's loss from its own tokens and rows, not from its place in the batch"
    ),
    "test_packed_and_padded_bodies_agree": (
        "take tokens by indices into `hidden` ([tokens, hidden]), and lengths from "
        "batch.inputs.lengths; never assume a shape [rows, length, hidden]"
    ),
    "test_only_wanted_hidden_states_are_read": (
        "call want() with the index of every token that the loss reads, each once, or not at all"
    ),
    "test_it_is_finite_under_bf16_autocast": (
        "compute logarithms, exponentials and large sums in float32: logits.float()"
    ),
    "test_state_round_trips_through_safetensors": (
        "keep what training changes in parameters that train or in buffers (register_buffer)"
    ),
    "test_dev_and_test_rows_are_out_of_reach": (
        "take rows from context.labelled() and context.corpus(...) only, and do not store the task"
    ),
    "test_it_can_be_sent_to_worker_processes": (
        "store no lambdas, generators, open files or locks in the objective"
    ),
    "test_its_passes_are_those_it_declares": (
        "declare `passes = Passes(forward=..., backward=...)` as it makes them"
    ),
    "test_a_step_does_not_wait_for_the_device": (
        "do what needs values (item, tolist, nonzero, boolean masks as indices) in collate, and "
        "hand over indices; use torch.where elsewhere"
    ),
    "test_metrics_are_sums_over_the_items": (
        "return sums over the items, such as (predicted == labels).sum(), in Loss.metrics"
    ),
    "test_an_end_task_scores_what_it_predicts": (
        "return one output for each item from predict and in_label_units, and every name of "
        "`metrics` from score, with 0 where a metric has no value"
    ),
    "test_a_probe_takes_the_place_of_an_end_tasks_head": (
        "return features of shape [items, hidden], and from probe a module that computes outputs "
        "of the head's shape from them"
    ),
    "test_an_end_tasks_head_can_be_exported": (
        "set self.head = context.head('SequenceClassification') or another kind in __init__; if "
        "it is used as NAME_aux alone, it may keep its head: test it in a file then, where its "
        "contract's class sets this rule to None"
    ),
    "test_it_computes_where_the_body_is": (
        "create tensors with device=hidden.device, and constants with register_buffer"
    ),
    # weightings
    "test_weights_are_finite_and_not_negative": (
        "clamp what can be zero or infinite before it is divided by or exponentiated; declare "
        "signed = True if negative weights are meant"
    ),
    "test_permuting_the_auxiliaries_permutes_their_weights": (
        "treat all auxiliaries alike; only index 0, the end task, is special"
    ),
    "test_it_resumes_exactly_from_its_state": (
        "keep every running value and count in buffers or parameters, not in Python lists and "
        "numbers; compute a cache again in each step, and keep what never affects the weights, "
        "such as a clock, outside the weighting"
    ),
    "test_its_state_moves_with_it": (
        "use register_buffer for tensors, and create others with device=signals.losses.device"
    ),
    "test_random_choices_are_the_steps_own": (
        "pass generator=signals.generator to torch's functions"
    ),
    "test_declared_needs_are_enough": "add what it reads to `needs`, for example Needs.GRADIENTS",
    "test_signals_are_left_as_they_were": (
        "work on copies: signals.losses.clamp(0) instead of signals.losses.clamp_(0), and clone() "
        "before item assignment"
    ),
    "test_the_cost_declared_is_the_cost_measured": (
        "let `due` return what a step reads, and `needs` the union of it over all steps"
    ),
    "test_nothing_waits_for_the_device": (
        "compute with tensors (torch.where, clamp) instead of item(), tolist() or if; declare "
        "waits = True if the method computes on the CPU"
    ),
    "test_a_step_computes_the_end_task_and_objectives_that_exist": (
        "return sorted indices from `active`, each once, with 0 among them, or None for all"
    ),
    "test_its_choice_follows_from_its_state_and_the_step": (
        "draw from the generator that `active` is given, and change state in `update` only"
    ),
    "test_its_chances_are_those_of_its_choices": (
        "override `chances` to return the probability with which `active` chooses each objective"
    ),
    "test_it_learns_nothing_from_objectives_that_are_not_computed": (
        "in `update`, use only the entries of signals.active"
    ),
}
"""A sentence without a full stop for each rule of `ObjectiveContract` and `WeightingContract`."""

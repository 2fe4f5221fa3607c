"""Runs on several processes: who takes which part of a step, and how they agree.

The number of processes never changes the method. They share the micro-batches of a step by number,
and sum what each has computed. `Ranks` is one process alone, for which all of it is the identity;
`Group` is one of several. Everything is sent by torch.distributed.
"""

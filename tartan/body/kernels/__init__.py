"""Attention and dropout kernels for packed sequences.

`attention` registers packed attention with transformers and chooses a kernel for each layer:
`varlen` (a GPU's variable-length kernels), `products` (batched matrix products, on a CPU) or `sdpa`
(torch's own attention). The last two compute on `buckets` of sequences of similar length. `layout`
holds what a kernel has to know about the sequences, computed once per forward pass.
"""

"""Floor 4: any graph through JAX and XLA, on its CPU, GPU or TPU.

Not here: what the ops mean there (the `xla` facet of each record), and kedja's own compiler for
CPUs (`kedja/compiler`), which knows nothing of this package. JAX is an extra: it is imported when
a graph is first compiled with `backend="xla"`. Start at `lower.py`.
"""

"""From a traced graph to an ONNX model: one table from our ops to operators.

`traces.py` traces at several batch sizes, `extents.py` finds which shapes follow the batch,
`selection.py` walks the graph, the tables say what each op becomes, `writer.py` makes the nodes.
What users call is `kedja/io/onnx/exporting.py`. Start at `extents.py`.
"""

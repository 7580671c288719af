"""ONNX's own definitions of operators by others, which ship with the package onnx.

Some are fixed (`plain`), others depend on the types of the node's inputs (`typed`).
Next: `running.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kedja.io.onnx import extra


def plain(node: Any, domain: str, version: int) -> Any:
    """The `FunctionProto` of an operator whose definition is fixed; None where there is none."""
    schema = _schema(node.op_type, domain, version)
    if schema is None or not schema.has_function:
        return None
    body = schema.get_function_with_opset_version(_latest(schema.function_opset_versions, version))
    return _parsed(body)


TypedBody = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]


def typed(node: Any, domain: str, version: int) -> TypedBody | None:
    """A function from the types of the inputs, and the attributes, to the `FunctionProto`.

    None where there is no such definition.
    """
    schema = _schema(node.op_type, domain, version)
    if schema is None or not schema.has_context_dependent_function:
        return None
    chosen = _latest(schema.context_dependent_function_opset_versions, version)

    def body(kinds: tuple[Any, ...], attributes: Mapping[str, Any]) -> Any:
        texts = [each.SerializeToString() for each in kinds]
        whole = _with_attributes(node, attributes).SerializeToString()
        make = schema.get_context_dependent_function_with_opset_version
        return _parsed(make(chosen, whole, texts))

    return body


def _with_attributes(node: Any, attributes: Mapping[str, Any]) -> Any:
    """The node with references to a function's attributes replaced by their values."""
    whole = type(node)()
    whole.CopyFrom(node)
    del whole.attribute[:]
    for each in node.attribute:
        if not each.ref_attr_name:
            whole.attribute.append(each)
        elif attributes.get(each.name) is not None:
            make = extra.load().helper.make_attribute
            whole.attribute.append(make(each.name, attributes[each.name]))
    return whole


def defaults(node: Any, domain: str, version: int) -> list[Any]:
    """The attributes (`AttributeProto`) that an operator has where a node does not give them."""
    schema = _schema(node.op_type, domain, version)
    found = [each.default_value for each in schema.attributes.values()]
    return [each for each in found if each.type]


def _schema(name: str, domain: str, version: int) -> Any:
    defs = extra.load().defs
    if not defs.has(name, version, domain):
        return None
    return defs.get_schema(name, version, domain)


def _latest(versions: list[int], wanted: int) -> int:
    """The newest version of a definition that is not newer than the model."""
    return max([each for each in versions if each <= wanted] or versions)


def _parsed(body: Any) -> Any:
    if isinstance(body, bytes):
        return extra.load().FunctionProto.FromString(body)
    return body

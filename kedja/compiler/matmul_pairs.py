"""Products of bfloat16 in pairs: what is multiplied, where it stands, and when that pays.

One instruction multiplies 32 numbers of bfloat16 and adds each two neighbouring products to one of
16 sums in float32: twice the work of a fused multiply-add. Two steps of k make a pair of 32 bits,
so such a product is planned as one of float32 with half as many steps.

The operands are packed as pairs. Where they stand in memory as float32, packing rounds them, so
that a weight's bfloat16 never goes to memory. A sum differs from the same float32 sum in the order
of its terms and in its roundings: the instruction adds the products of a pair one after the other,
each addition rounded to the nearest, so that the error stays below (k + 2) · 2⁻²⁴ · Σ|a b|, the
bound of any order of float32 sums. Denormal operands, results and sums are taken for 0, as
everywhere in compiled code.
Not here: the instructions (`llvm_matmul_pairs.py`). Next: `matmul_plan.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kedja.compiler.matmul_shape import MatmulShape
from kedja.compiler.matmul_tiles import Target
from kedja.ground.dtypes import DType, bfloat16, float32
from kedja.ir.graph import Node
from kedja.ir.op import Reindex

# A product with less than this of both rows and columns, or of steps, is done before its operands
# are packed.
LEAST = 8
# Pairs that are moved at once when A is packed: a vector of 512 bits.
LANES = 16


def pays(m: int, n: int, k: int) -> bool:
    """Whether such a product is better computed in pairs than with its operands widened in memory,
    which is what other targets do."""
    return max(m, n) >= LEAST and k >= LEAST


# A B of so many elements is packed in the time that a launch takes.
SMALL_B = 16_384
# A product of less multiply-adds is one task.
SMALL_WORK = 65_536


def block_pays(shape: MatmulShape, target: Target, width: int) -> bool:
    """Whether each task should pack the panels of B that it uses, which then stay on its core.

    What one launch has packed, the next must fetch from other cores: half of it with two threads,
    which cores that share no cache do slowly. So tasks own columns, where B is at least as
    large as A, of which each task reads all; columns must give the threads equal shares.
    """
    if shape.k * shape.n <= SMALL_B or shape.batch * shape.multiply_adds < SMALL_WORK:
        return True
    blocks = (shape.batch if shape.b_batch else 1) * -(-shape.n // width)
    even = blocks >= 4 and (blocks % 2 == 0 or blocks >= 10)
    shared = shape.batch > 1 and not shape.b_batch
    fits = shape.m * shape.k <= target.l2 and 2 * width * shape.k <= target.l2 // 4
    return even and fits and shape.m <= shape.n and not shared


def in_pairs(product: Node) -> bool:
    """Whether a matrix product is one of float32 that were widened from bfloat16, and pays."""
    (m, n), k = product.shape[-2:], product.inputs[0].shape[-1]
    of_halves = all(is_widened(operand) for operand in product.inputs)
    return product.dtype == float32 and of_halves and pays(m, n, k)


def is_widened(operand: Node) -> bool:
    """Whether all elements of a float32 value are bfloat16's."""
    while is_moved(operand):
        (operand,) = operand.inputs
    return operand.op.name == "cast" and operand.inputs[0].dtype == bfloat16


def is_moved(node: Node) -> bool:
    """Whether a node only moves the elements of one value, adding none of its own."""
    one = isinstance(node.op.lowering, Reindex) and len(node.inputs) == 1
    return one and node.op.name != "pad"


def is_rounding(node: Node) -> bool:
    """Whether a node is a cast between float32 and bfloat16, which packing does by itself."""
    if node.op.name != "cast":
        return False
    return {node.dtype, node.inputs[0].dtype} == {float32, bfloat16}


def bases_in_pairs(operand: Node, in_memory: Callable[[Node], bool]) -> Iterator[Node]:
    """Values from which packing can read an operand, the best first: the nearest one in memory,
    the bfloat16 furthest down, the one that was widened."""
    chain = [operand]
    while not in_memory(chain[-1]) and (is_moved(chain[-1]) or is_rounding(chain[-1])):
        chain.append(chain[-1].inputs[0])
    if in_memory(chain[-1]):
        yield chain[-1]
    halves = [node for node in chain if node.dtype == bfloat16]
    yield from halves[::-1]


@dataclass(frozen=True)
class Pairs:
    """The operands of a product in pairs, as they stand in memory."""

    k: int
    a: DType  # bfloat16, or float32 that is rounded while it is packed
    b: DType
    row_major: bool  # whether A is contiguous along k
    direct: bool  # whether A's rows are read where they stand

    @property
    def depth(self) -> int:
        """The steps of the kernel: pairs of k, the last one perhaps half empty."""
        return -(-self.k // 2)

    @property
    def row(self) -> int:
        """Pairs from one row of the packed A to the next. No power of two where A is row-major,
        so that the rows of a tile do not meet in one set of a cache."""
        return (-(-self.depth // LANES) + 1) * LANES if self.row_major else self.depth

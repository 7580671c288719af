"""WIP"""

from kedja.compiler import (
    llvm_math_arc as arc,
    llvm_math_erf as ef,
    llvm_math_exp as ex,
    llvm_math_log as lg,
    llvm_math_power as pw,
    llvm_math_remainder as rem,
    llvm_math_trig as tr,
)
from kedja.compiler.llvm_math_lanes import Lanes

F = {}
for m, names in (
    (ex, "exp exp2 expm1 sinh cosh tanh sigmoid"),
    (lg, "log log2 log10 log1p asinh acosh atanh softplus"),
    (tr, "sin cos tan"),
    (arc, "asin acos atan atan2"),
    (ef, "erf"),
    (pw, "power"),
    (rem, "remainder"),
):
    for n in names.split():
        F[n] = getattr(m, n)

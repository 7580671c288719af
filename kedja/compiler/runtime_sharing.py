"""One launch shared by threads: who runs which task, and when the launch is over.

Not here: launches and steps (`runtime_native.py`), sleeping and waking (`runtime_threads.py`).
Next: `runtime_native.py`.

Task t of a launch belongs to thread floor(t * threads / tasks): contiguous runs, so that a thread
meets the rows again that it has written in the launch before. A thread that is done with its own
tasks takes those that others have not begun: a worker that sleeps, or whose core is busy with
another program, delays a launch by no more than the task it is at. What a task computes does not
depend on who runs it.

A job is what the fields of POOL say, and its number. Each thread has a box with one word: the
job's number above, how many of the thread's tasks are left below. A task is taken by counting the
word down with a compare-and-swap; a word with another number refuses. The caller writes the next
job only when every task of this one is done: so the fields stand still for who has taken a task.
"""

from __future__ import annotations

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import (
    I8,
    I32,
    I64,
    PTR,
    Layout,
    alloca,
    call_pointer,
    element,
    for_range,
    forever,
    function,
    i32,
    i64,
    load_shared,
)
from kedja.compiler.runtime_placing import emit_placing, place
from kedja.compiler.runtime_threads import (
    BOX,
    LINE,
    POOL,
    System,
    emit_box,
    emit_flush_denormals,
    emit_ticks,
    emit_wait_until,
)

# A log of who worked when: its head, then one entry for each thread's share of a launch.
LOG = Layout({"next": (0, I64), "capacity": (8, I64)})
LOG_HEAD = LINE
ENTRY = Layout({"args": (0, PTR), "thread": (8, I64), "start": (16, I64), "end": (24, I64)})
ENTRY_BYTES = 32

NULL = ir.Constant(PTR, None)
JOB = {"kernel": PTR, "args": PTR, "tasks": I64, "cancel": PTR, "log": PTR}
TASK = ("kernel", "args", "cancel")


def emit_sharing(module: ir.Module, system: System) -> None:
    """All functions of this file, into the runtime's module."""
    emit_placing(module, system)
    _emit_log(module)
    _emit_alone(module, system)
    _emit_part(module, system)
    _emit_together(module, system)
    _emit_worker(module, system)


def _emit_log(module: ir.Module) -> None:
    """`void kedja_log(log, args, thread, start, end)`: a new entry, if there is room."""
    values = {"args": PTR, "thread": I64, "start": I64, "end": I64}
    b, made = function(module, "kedja_log", {"log": PTR, **values})
    log, *entries = made.args
    number = LOG.add_shared(b, log, "next", 1)
    with b.if_then(b.icmp_signed("<", number, LOG.load(b, log, "capacity"))):
        entry = element(b, log, b.add(b.mul(number, i64(ENTRY_BYTES)), i64(LOG_HEAD)), I8)
        for name, value in zip(values, entries, strict=True):
            ENTRY.store(b, entry, name, value)
    b.ret_void()


def _emit_task(
    b: ir.IRBuilder, kernel: ir.Value, args: ir.Value, cancel: ir.Value, task: ir.Value
) -> None:
    """One task, unless the run was cancelled."""
    cancelled = load_shared(b, cancel, I32, "monotonic")
    with b.if_then(b.icmp_signed("==", cancelled, i32(0)), likely=True):
        call_pointer(b, kernel, [args, task])


def _emit_start(b: ir.IRBuilder, system: System, log: ir.Value) -> ir.Value:
    """Where the ticks of now stand, if there is a log."""
    start = alloca(b, I64)
    with b.if_then(_is_there(b, log), likely=False):
        b.store(emit_ticks(b, system), start)
    return start


def _emit_end(b: ir.IRBuilder, system: System, log: ir.Value, *entry: ir.Value) -> None:
    """An entry (arguments, thread, start) about what was done until now, if there is a log."""
    with b.if_then(_is_there(b, log), likely=False):
        *told, start = entry
        values = [log, *told, b.load(start, I64), emit_ticks(b, system)]
        b.call(b.module.get_global("kedja_log"), values)


def _is_there(b: ir.IRBuilder, log: ir.Value) -> ir.Value:
    return b.icmp_unsigned("!=", log, NULL)


# --- one thread ----------------------------------------------------------------------------------


def _emit_alone(module: ir.Module, system: System) -> None:
    """`void kedja_alone(kernel, args, tasks, cancel, log)`: all tasks on this thread."""
    b, made = function(module, "kedja_alone", JOB)
    kernel, args, tasks, cancel, log = made.args
    start = _emit_start(b, system, log)
    with for_range(b, 0, tasks, name="task") as task:
        _emit_task(b, kernel, args, cancel, task)
    _emit_end(b, system, log, args, i64(0), start)
    b.ret_void()


# --- several threads -----------------------------------------------------------------------------


def _emit_together(module: ir.Module, system: System) -> None:
    """`void kedja_together(pool, kernel, args, tasks, cancel, log, threads)`: on the pool.

    Returns when every task is done.
    """
    fields = {**JOB, "threads": I64}
    b, made = function(module, "kedja_together", {"pool": PTR, **fields})
    pool, *values = made.args
    for name, value in zip(fields, values, strict=True):
        POOL.store(b, pool, name, value)
    tasks, threads = values[2], values[-1]
    POOL.store_shared(b, pool, "pending", b.trunc(tasks, I32), "monotonic")
    job = b.add(POOL.load(b, pool, "job"), i32(1))
    POOL.store(b, pool, "job", job)
    _emit_hand_out(b, pool, job, tasks, threads)
    _emit_wake_sleepers(b, system, pool, threads)
    b.call(module.get_global("kedja_part"), [pool, i64(0), job])
    pending = POOL.address(b, pool, "pending")
    sleeping = POOL.address(b, pool, "caller_sleeping")
    spins = POOL.load(b, pool, "spins")
    emit_wait_until(
        b, system, pending, sleeping, spins, lambda left: b.icmp_signed("==", left, i32(0))
    )
    b.ret_void()


def _emit_hand_out(
    b: ir.IRBuilder, pool: ir.Value, job: ir.Value, tasks: ir.Value, threads: ir.Value
) -> None:
    """Put each thread's tasks into its box: those before ceil((thread + 1) * tasks / threads)."""
    high = b.shl(b.zext(job, I64), i64(32))
    first = alloca(b, I64)
    b.store(i64(0), first)
    rounding = b.sub(threads, i64(1))
    with for_range(b, 0, threads, name="thread") as thread:
        stop = b.udiv(b.add(b.mul(b.add(thread, i64(1)), tasks), rounding), threads)
        box = emit_box(b, pool, thread)
        BOX.store(b, box, "stop", stop)
        left = b.sub(stop, b.load(first, typ=I64))
        BOX.store_shared(b, box, "word", b.or_(high, left))
        b.store(stop, first)
    b.fence("seq_cst")


def _emit_wake_sleepers(b: ir.IRBuilder, system: System, pool: ir.Value, threads: ir.Value) -> None:
    with for_range(b, 1, threads, name="worker") as worker:
        box = emit_box(b, pool, worker)
        asleep = BOX.load_shared(b, box, "sleeping", "seq_cst")
        with b.if_then(b.icmp_signed("!=", asleep, i32(0)), likely=False):
            place(b, system, "kedja_elsewhere", box)
            b.call(b.module.get_global("kedja_wake"), [BOX.address(b, box, "ticket")])


def _emit_part(module: ir.Module, system: System) -> None:
    """`void kedja_part(pool, thread, job)`: one thread's tasks, then what others have left."""
    b, made = function(module, "kedja_part", {"pool": PTR, "thread": I64, "job": I32})
    pool, thread, job = made.args
    threads = POOL.load_shared(b, pool, "threads", "monotonic")
    log = POOL.load(b, pool, "log")
    start = _emit_start(b, system, log)
    done = alloca(b, I32)
    b.store(i32(0), done)
    with for_range(b, 0, threads, name="turn") as turn:
        box = emit_box(b, pool, b.urem(b.add(thread, turn), threads))
        with forever(b, "taking") as taking:
            task, is_none = _emit_take(b, box, job)
            taking.leave_if(is_none)
            kernel, args, cancel = (
                POOL.load(b, pool, name) for name in ("kernel", "args", "cancel")
            )
            _emit_task(b, kernel, args, cancel, task)
            b.store(b.add(b.load(done, I32), i32(1)), done)
    count = b.load(done, I32)
    with b.if_then(b.icmp_signed("==", count, i32(0)), likely=False):
        b.ret_void()
    _emit_end(b, system, log, POOL.load(b, pool, "args"), thread, start)
    _emit_settle(b, pool, count)
    b.ret_void()


def _emit_settle(b: ir.IRBuilder, pool: ir.Value, count: ir.Value) -> None:
    """So many tasks are done; the last to say so wakes the caller if it sleeps."""
    before = b.atomic_rmw("sub", POOL.address(b, pool, "pending"), count, "seq_cst")
    with b.if_then(b.icmp_signed("==", before, count)):
        asleep = POOL.load_shared(b, pool, "caller_sleeping", "seq_cst")
        with b.if_then(b.icmp_signed("!=", asleep, i32(0)), likely=False):
            b.call(b.module.get_global("kedja_wake"), [POOL.address(b, pool, "pending")])


def _emit_take(b: ir.IRBuilder, box: ir.Value, job: ir.Value) -> tuple[ir.Value, ir.Value]:
    """A task from a box, and whether there was none of this job."""
    address = BOX.address(b, box, "word")
    word = alloca(b, I64)
    b.store(load_shared(b, address, I64), word)
    is_none = alloca(b, ir.IntType(1))
    with forever(b, "claim") as claim:
        seen = b.load(word, typ=I64)
        left = b.trunc(seen, I32)
        other = b.icmp_unsigned("!=", b.trunc(b.lshr(seen, i64(32)), I32), job)
        none = b.or_(other, b.icmp_signed("==", left, i32(0)))
        b.store(none, is_none)
        claim.leave_if(none)
        found = b.cmpxchg(address, seen, b.sub(seen, i64(1)), "seq_cst", "seq_cst")
        b.store(b.extract_value(found, 0), word)
        claim.leave_if(b.extract_value(found, 1))
    left = b.and_(b.load(word, typ=I64), i64(0xFFFF_FFFF))
    return b.sub(BOX.load(b, box, "stop"), left), b.load(is_none, typ=ir.IntType(1))


def _emit_worker(module: ir.Module, system: System) -> None:
    """`void kedja_worker(pool, worker)`: take part in one job after another, for ever."""
    b, made = function(module, "kedja_worker", {"pool": PTR, "worker": I64})
    pool, worker = made.args
    emit_flush_denormals(b, system)
    box = emit_box(b, pool, worker)
    place(b, system, "kedja_settle_in", box)
    ticket, sleeping = BOX.address(b, box, "ticket"), BOX.address(b, box, "sleeping")
    seen = b.alloca(I32)
    b.store(i32(0), seen)  # a box starts with job 0, so one given before this line is seen
    with forever(b, "jobs"):
        before = b.load(seen, I32)
        spins = POOL.load(b, pool, "spins")
        emit_wait_until(
            b,
            system,
            ticket,
            sleeping,
            spins,
            lambda now: b.icmp_signed("!=", now, before),
            lambda: place(b, system, "kedja_anywhere", box),
        )
        job = load_shared(b, ticket, I32)
        b.store(job, seen)
        b.call(module.get_global("kedja_part"), [pool, worker, job])
    b.unreachable()

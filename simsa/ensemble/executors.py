"""Executors, which work on blocks, in threads or elsewhere. No result depends on the executor.

To add one, add a class with the method `map`. `simsa.cli.main` and `drive.run` accept any executor.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

from simsa.records.layout import Block

T = TypeVar("T")

Done = tuple[Block, T | BaseException]
"""A block, and the result of the work on it, or the error that the work raised."""

PAUSE = 0.01
"""Seconds between two looks at whether threads are still working."""


class Executor(ABC):
    """One way to work on many blocks."""

    @abstractmethod
    def map(self, work: Callable[[Block], T], blocks: Iterable[Block]) -> Iterator[Done[T]]:
        """Return an iterator over the blocks with their outcomes, in the order in which they are done.

        work: is called once for each block, in this process or in another one. It can be pickled, and shares no memory
        with the driver. An error that it raises is the outcome of the block, and does not end the iteration. blocks: a
        block is taken only when a worker is free, because the driver stops a run by ending this iterable. The blocks
        that have been taken are then finished, and the iterator yields them. A KeyboardInterrupt in `__next__` is
        raised to the driver, which then continues with the same iterator.
        """


def attempt(work: Callable[[Block], T], block: Block) -> Done[T]:
    """Return a block and the outcome of the work on it, which is the error if the work raises one."""
    try:
        return block, work(block)
    except BaseException as error:  # the driver raises it
        return block, error


class Threads(Executor):
    """Threads of this process, which run at the same time since kernels release the GIL.

    workers: the number of threads, at least 1.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, work: Callable[[Block], T], blocks: Iterable[Block]) -> Iterator[Done[T]]:
        """Return an iterator over the blocks with their outcomes; the threads start with the first `__next__`."""
        return _Threaded(work, iter(blocks), self.workers)


class _Threaded(Generic[T]):
    """The iterator over the blocks that threads have done, in the order in which they are done.

    These are threads, and no pool, because a Ctrl-C inside of `submit` would leave a thread that the pool has not
    recorded. They are daemons, so that a second Ctrl-C ends the process at once; then the blocks in flight are lost.
    """

    def __init__(self, work: Callable[[Block], T], blocks: Iterator[Block], workers: int) -> None:
        self.work, self.blocks, self.taking = work, blocks, Lock()
        self.done = SimpleQueue[Done[T]]()
        self.threads = [Thread(target=self._work_off, name=f"simsa-{i}", daemon=True) for i in range(workers)]
        self.idle = self.threads[::-1]

    def __iter__(self) -> Iterator[Done[T]]:
        return self

    def __next__(self) -> Done[T]:
        while self.idle:
            self.idle.pop().start()
        while True:
            working = any(
                thread.is_alive() for thread in self.threads
            )  # asked before `get`: a thread that ended has put all its outcomes
            try:
                return self.done.get(timeout=PAUSE) if working else self.done.get_nowait()
            except Empty:
                if not working:
                    raise StopIteration from None

    def _work_off(self) -> None:
        """Take one block after the other until there is none."""
        while True:
            with self.taking:
                block = next(self.blocks, None)
            if block is None:
                return
            self.done.put(attempt(self.work, block))

"""Executors: where blocks are worked on. No result depends on which; the driver knows none of them.

Adding one is adding a class with the method `map`. `simsa.cli.main` and `drive.run` take one of a user's own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

from simsa.records.layout import Block

T = TypeVar("T")

Done = tuple[Block, T | BaseException]
"""A block, and what the work returned for it, or the error that it raised."""

PAUSE = 0.01
"""Seconds between two looks at whether threads are still working."""


class Executor(ABC):
    """One way to work on many blocks."""

    @abstractmethod
    def map(self, work: Callable[[Block], T], blocks: Iterable[Block]) -> Iterator[Done[T]]:
        """Return an iterator over the blocks with their outcomes, in the order in which they are done.

        work: called once for each block, here or elsewhere: it can be pickled, and computes and stores a block without
        the memory of the driver. An error that it raises is an outcome, and does not end the iteration.
        blocks: each is taken when somebody is free to work on it, and not earlier: the driver stops a run by ending
        this iterable. What has been taken is then finished, and still comes out. A KeyboardInterrupt in the iterator's
        `__next__` passes through to the driver, which then goes on with the same iterator.
        """


def attempt(work: Callable[[Block], T], block: Block) -> Done[T]:
    """Return a block and the outcome of the work on it, which is the error if it raises one."""
    try:
        return block, work(block)
    except BaseException as error:  # to be raised where the driver is
        return block, error


class Threads(Executor):
    """Threads of this process: the kernels release the GIL.

    workers: how many, at least 1.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, work: Callable[[Block], T], blocks: Iterable[Block]) -> Iterator[Done[T]]:
        """Return an iterator over the blocks with their outcomes; threads begin with the first."""
        return _Threaded(work, iter(blocks), self.workers)


class _Threaded(Generic[T]):
    """What threads have done, as it comes.

    Plain threads and no pool: a Ctrl-C inside of `submit` would leave a thread that nobody knows of. They are daemons,
    so that a second Ctrl-C can end the process at once: only what is in flight is lost.
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
            working = any(thread.is_alive() for thread in self.threads)  # asked first: what ended has put all it had
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

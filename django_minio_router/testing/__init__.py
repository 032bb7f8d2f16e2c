"""For a project's own tests: files in memory, and the contract that every strategy has to keep."""

from .contract import StrategyContract
from .files import FilesInMemory, assert_stored, memory_files, stored_files

__all__ = ["FilesInMemory", "StrategyContract", "assert_stored", "memory_files", "stored_files"]

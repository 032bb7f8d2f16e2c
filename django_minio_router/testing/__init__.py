"""Tools for a project's tests: files in memory, and the contract test for strategies."""

from .contract import StrategyContract
from .files import FilesInMemory, assert_stored, memory_files, stored_files

__all__ = ["FilesInMemory", "StrategyContract", "assert_stored", "memory_files", "stored_files"]

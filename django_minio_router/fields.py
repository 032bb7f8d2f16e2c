"""The path that migrations name for file fields with an owner; see ``storage.fields``."""

from .storage.fields import BucketFileField, BucketImageField

__all__ = ["BucketFileField", "BucketImageField"]
